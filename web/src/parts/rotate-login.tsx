/** A button that rotates the password of the app login, after a confirmation. */
import Alert from "@cloudscape-design/components/alert";
import Button from "@cloudscape-design/components/button";
import FormField from "@cloudscape-design/components/form-field";
import Modal from "@cloudscape-design/components/modal";
import RadioGroup from "@cloudscape-design/components/radio-group";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useState } from "react";
import { type Login, usePage } from "../api";
import { useAttempt } from "../attempt";
import { forgetSave } from "../logic/last-save";
import {
  IMMEDIATELY,
  isUnsettled,
  MASTER_TOO,
  rotationLock,
  rotationSteps,
  rotationVerb,
  WAIT_FOR_LAST,
  whatFails,
  WHEN_LAST_STOPPED,
} from "../logic/login";
import { useAccess, useStage } from "../stage-context";
import { useSubmission } from "../submission";
import { DialogFooter } from "./dialog-footer";
import { ProblemAlert } from "./problem";

export function RotateLogin({ login }: { login: Login }) {
  const { running } = useStage();
  const lock = rotationLock(useAccess("rotateLogin"), running);
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
  // A rotation can't wait for containers while it waits for those of the one before.
  const [mustWait] = useState(isUnsettled(login));
  const [immediately, setImmediately] = useState(mustWait);
  // If the response gets lost and the user tries again, no second rotation starts.
  const keyFor = useAttempt();

  const { busy, error, submit } = useSubmission(async () => {
    await api.rotateLogin(name, immediately, keyFor({ immediately }));
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
      footer={<DialogFooter verb={rotationVerb(immediately)} busy={busy} confirm={submit} close={close} />}
    >
      <SpaceBetween size="m">
        <FormField label={`When to disable ${login.user}`}>
          <RadioGroup
            value={immediately ? "immediately" : "last-stopped"}
            onChange={({ detail }) => setImmediately(detail.value === "immediately")}
            items={[
              {
                value: "last-stopped",
                label: WHEN_LAST_STOPPED,
                description: mustWait ? WAIT_FOR_LAST : undefined,
                disabled: busy || mustWait,
              },
              { value: "immediately", label: IMMEDIATELY, disabled: busy },
            ]}
          />
        </FormField>
        {immediately && <Alert type="warning">{whatFails(login)}</Alert>}
        <div>
          This rebuilds the stage.{!immediately && " No login fails meanwhile."}
          <ol>
            {rotationSteps(login, immediately).map((step) => (
              <li key={step}>{step}</li>
            ))}
          </ol>
          {MASTER_TOO}
        </div>
        {error && <ProblemAlert error={error} header="Couldn't start the rotation" />}
      </SpaceBetween>
    </Modal>
  );
}
