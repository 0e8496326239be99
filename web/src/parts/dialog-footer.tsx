/** The buttons of a dialog that asks for a confirmation. */
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import SpaceBetween from "@cloudscape-design/components/space-between";

export function DialogFooter(props: {
  /** What the primary button says. */
  verb: string;
  /** Whether the request is being sent. */
  busy: boolean;
  /** Whether the user can't confirm yet. */
  disabled?: boolean;
  /** Whether the dialog can be closed while the request is being sent. */
  canLeave?: boolean;
  confirm: () => void;
  close: () => void;
}) {
  const { verb, busy, disabled = false, canLeave = false, confirm, close } = props;
  return (
    <Box float="right">
      <SpaceBetween direction="horizontal" size="xs">
        <Button variant="link" onClick={close} disabled={busy && !canLeave}>
          Cancel
        </Button>
        <Button variant="primary" disabled={disabled} loading={busy} onClick={confirm}>
          {verb}
        </Button>
      </SpaceBetween>
    </Box>
  );
}
