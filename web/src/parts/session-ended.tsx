/** Asks the user to sign in again, without leaving the current screen. */
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Modal from "@cloudscape-design/components/modal";
import { useSyncExternalStore } from "react";
import { usePage } from "../api";
import { SIGN_IN_AGAIN } from "../session";

export function SessionEnded() {
  const { session } = usePage();
  const state = useSyncExternalStore(session.subscribe, session.state);
  if (state !== "expired") return null;
  return (
    <Modal
      visible
      header="Your session has ended"
      closeAriaLabel="Sign in again"
      onDismiss={() => window.open(SIGN_IN_AGAIN, "_blank", "popup,width=480,height=680")}
      footer={
        <Box float="right">
          <Button
            variant="primary"
            iconName="external"
            iconAlign="right"
            onClick={() => window.open(SIGN_IN_AGAIN, "_blank", "popup,width=480,height=680")}
          >
            Sign in again
          </Button>
        </Box>
      }
    >
      Sign in again in a new window. You won't lose your edits, and this page continues where it stopped after you sign in.
    </Modal>
  );
}
