/** The switches of a stage. A change is saved at once. */
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Modal from "@cloudscape-design/components/modal";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useState } from "react";
import { type StageRead, usePage } from "../api";
import { useAttempt } from "../attempt";
import { formOfStage, registrationBody, type Switches } from "../logic/registration";
import { proofHint } from "../logic/words";
import { useNotify } from "../notify";
import { useAccess, useStage } from "../stage-context";
import { DialogFooter } from "./dialog-footer";
import { ProofSwitch } from "./proof-switch";
import { RestoreSwitch } from "./restore-switch";

export function StageSwitches({ stage, again }: { stage: StageRead; again: () => void }) {
  const { api } = usePage();
  const { name, running, begun } = useStage();
  const access = useAccess("putStage");
  const notify = useNotify();
  /** What the user wants of the stage that was read with this ETag. */
  const [wanted, setWanted] = useState<{ of: string | undefined; change: Partial<Switches> } | null>(null);
  const [skipping, setSkipping] = useState(false);
  const keyFor = useAttempt();
  const save = async (change: Partial<Switches>) => {
    setWanted({ of: stage.etag, change });
    const body = registrationBody({ ...formOfStage(stage), ...change });
    try {
      await api.register(name, body, stage.etag, keyFor({ body, etag: stage.etag }));
      begun();
    } catch (error) {
      setWanted(null);
      notify({ type: "error", header: "The switch wasn't changed", content: (error as Error).message });
    }
    again();
  };
  // Until the stage has changed and is read again, the switches show what the user wants. A rollback brings the ETag back.
  if (wanted !== null && wanted.of !== stage.etag) setWanted(null);
  const saving = wanted !== null && wanted.of === stage.etag;
  const shown: Switches = { ...formOfStage(stage), ...(saving ? wanted.change : {}) };
  const disabled = running || saving || !access.allowed;
  return (
    <SpaceBetween size="m">
      <RestoreSwitch
        checked={shown.restoreVariables}
        disabled={disabled}
        change={(restoreVariables) => void save({ restoreVariables })}
      />
      <ProofSwitch
        proof={shown.connectionProof}
        disabled={disabled}
        change={(connectionProof) => {
          if (connectionProof === "skipped") setSkipping(true);
          else void save({ connectionProof });
        }}
      />
      {access.reason !== undefined && <Box color="text-body-secondary">{access.reason}</Box>}
      {skipping && (
        <Modal
          visible
          header="Skip the connection test in rebuilds?"
          closeAriaLabel="Close without skipping the test"
          onDismiss={() => setSkipping(false)}
          footer={
            <DialogFooter
              verb="Skip the test"
              busy={false}
              confirm={() => {
                setSkipping(false);
                void save({ connectionProof: "skipped" });
              }}
              close={() => setSkipping(false)}
            />
          }
        >
          <Alert type="warning">{proofHint("skipped")}</Alert>
        </Modal>
      )}
    </SpaceBetween>
  );
}
