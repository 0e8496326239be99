/** The switch that decides whether stagedb restores variables after a deployment without them. */
import Toggle from "@cloudscape-design/components/toggle";

interface Props {
  checked: boolean;
  change: (checked: boolean) => void;
  disabled?: boolean;
}

export function RestoreSwitch({ checked, change, disabled = false }: Props) {
  return (
    <Toggle
      checked={checked}
      disabled={disabled}
      onChange={({ detail }) => change(detail.checked)}
      description="If you deploy a service with a task definition that lacks the runtime variables, stagedb deploys a copy that has them. Otherwise you restore them on the Runtime variables screen."
    >
      Restore variables after a deployment without them
    </Toggle>
  );
}
