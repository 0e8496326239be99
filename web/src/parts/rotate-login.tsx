/** A button that rotates the password of the app login, after a confirmation. */
import Button from "@cloudscape-design/components/button";
import Modal from "@cloudscape-design/components/modal";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useState } from "react";
import { type Login, usePage } from "../api";
import { forgetSave } from "../logic/last-save";
import { otherLogin, rotationLock } from "../logic/login";
import { useAccess, useStage } from "../stage-context";
import { useSubmission } from "../submission";
import { DialogFooter } from "./dialog-footer";
import { ProblemAlert } from "./problem";

export function RotateLogin({ login }: { login: Login }) {
  const { running } = useStage();
  const lock = rotationLock(useAccess("rotateLogin"), running, login);
  const [open, setOpen] = useState(false);
  return (
    <>
      <Button {...lock} onClick={() => setOpen(true)}>
        Rotate password
      </Button>
      {open && <Confirm login={login} close={() => setOpen(false)} />}
    </>
  );
}

function Confirm({ login, close }: { login: Login; close: () => void }) {
  const { api } = usePage();
  const { name, begun } = useStage();
  // If the response gets lost and the user tries again, no second rotation starts.
  const [key] = useState(() => crypto.randomUUID());

  const { busy, error, submit } = useSubmission(async () => {
    await api.rotateLogin(name, key);
    forgetSave(name);
    close();
    begun();
  });
  return (
    <Modal
      visible
      header="Rotate the password of the app login?"
      closeAriaLabel="Close without rotating the password"
      onDismiss={close}
      footer={<DialogFooter verb="Rotate password" busy={busy} confirm={submit} close={close} />}
    >
      <SpaceBetween size="m">
        <div>
          This rebuilds the stage. No login fails meanwhile.
          <ol>
            <li>The other app login, {otherLogin(login)}, gets a new password, and stagedb tests it.</li>
            <li>The containers are redeployed with the new login.</li>
            <li>When the last old container has stopped, stagedb disables {login.user}.</li>
          </ol>
        </div>
        {error && <ProblemAlert error={error} header="Couldn't start the rotation" />}
      </SpaceBetween>
    </Modal>
  );
}
