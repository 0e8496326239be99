/** The switch that decides whether stagedb restores variables after a deployment without them. */
import Box from "@cloudscape-design/components/box";
import Toggle from "@cloudscape-design/components/toggle";

interface Props {
  checked: boolean;
  change: (checked: boolean) => void;
  disabled?: boolean;
  /** Why the user may not change it. */
  reason?: string | undefined;
}

export function RestoreSwitch({ checked, change, disabled = false, reason }: Props) {
  return (
    <>
      <Toggle
        checked={checked}
        disabled={disabled}
        onChange={({ detail }) => change(detail.checked)}
        description="If you deploy a service with a task definition that lacks the runtime variables, stagedb deploys a copy that has them. Otherwise you restore them on the Runtime variables screen."
      >
        Restore variables after a deployment without them
      </Toggle>
      {reason !== undefined && <Box color="text-body-secondary">{reason}</Box>}
    </>
  );
}
