/** Ends every session of the user, after a confirmation. */
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Modal from "@cloudscape-design/components/modal";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { usePage } from "../api";
import { useSubmission } from "../submission";
import { DialogFooter } from "./dialog-footer";
import { ProblemAlert } from "./problem";

export default function SignOutEverywhere({ close }: { close: () => void }) {
  const { api, session } = usePage();
  const { busy, error, submit } = useSubmission(async () => {
    await api.signOutEverywhere();
    session.signOut();
  });
  return (
    <Modal
      visible
      header="Sign out everywhere?"
      closeAriaLabel="Close without signing out"
      onDismiss={close}
      footer={<DialogFooter verb="Sign out everywhere" busy={busy} confirm={submit} close={close} />}
    >
      <SpaceBetween size="m">
        <Box variant="p" padding="n">
          You're signed out here, in your other windows, and on your other devices.
        </Box>
        <Alert type="info">
          Access tokens stay valid until they expire, so another window can keep working for a few minutes. A browser that
          signed in within the last hour may be able to sign in again without your password.
        </Alert>
        {error && <ProblemAlert error={error} header="You weren't signed out" />}
      </SpaceBetween>
    </Modal>
  );
}
