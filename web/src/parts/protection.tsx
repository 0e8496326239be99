/** Protects the stage, so that only admins can change it, or ends its protection. */
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import Modal from "@cloudscape-design/components/modal";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { useState } from "react";
import { type StageRead, usePage } from "../api";
import { lockOf } from "../logic/access";
import { useNotify } from "../notify";
import { useAccess, useStage } from "../stage-context";
import { DialogFooter } from "./dialog-footer";
import { ProblemAlert } from "./problem";

export function Protection({ stage, again }: { stage: StageRead; again: () => void }) {
  const { api } = usePage();
  const { name, access, checkAccess } = useStage();
  const notify = useNotify();
  const lock = lockOf(useAccess("putProtection"));
  const [busy, setBusy] = useState(false);
  const [ending, setEnding] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const isProtected = access?.protected ?? stage.protected;

  const protect = async (wanted: boolean) => {
    setBusy(true);
    setError(null);
    try {
      await api.protect(name, wanted);
      setEnding(false);
      notify({
        id: `protection:${name.stack}/${name.stage}`,
        type: "success",
        content: wanted
          ? `The stage ${name.stack} ${name.stage} is protected.`
          : `The stage ${name.stack} ${name.stage} is no longer protected.`,
      });
    } catch (caught) {
      setError(caught as Error);
    }
    setBusy(false);
    checkAccess();
    again();
  };
  return (
    <Container
      header={
        <Header
          variant="h2"
          actions={
            isProtected ? (
              <Button {...lock} onClick={() => setEnding(true)}>
                End protection
              </Button>
            ) : (
              <Button {...lock} loading={busy} onClick={() => void protect(true)}>
                Protect stage
              </Button>
            )
          }
        >
          Protection
        </Header>
      }
    >
      <SpaceBetween size="s">
        {isProtected ? (
          <StatusIndicator type="success">Only admins can change this stage.</StatusIndicator>
        ) : (
          <StatusIndicator type="stopped">Editors and admins can change this stage.</StatusIndicator>
        )}
        <Box color="text-body-secondary">
          If a stage is protected, editors can still view it, but only admins can change its settings, its services and
          jobs, and rebuild it.
        </Box>
        {error && !ending && <ProblemAlert error={error} header="The protection wasn't changed" />}
      </SpaceBetween>
      {ending && (
        <Modal
          visible
          header={`End the protection of ${name.stack} ${name.stage}?`}
          closeAriaLabel="Close without ending the protection"
          onDismiss={() => setEnding(false)}
          footer={<DialogFooter verb="End protection" busy={busy} confirm={() => void protect(false)} close={() => setEnding(false)} />}
        >
          <SpaceBetween size="m">
            <Alert type="warning">Editors will be able to change this stage and its database, and rebuild it.</Alert>
            {error && <ProblemAlert error={error} header="The protection wasn't changed" />}
          </SpaceBetween>
        </Modal>
      )}
    </Container>
  );
}
