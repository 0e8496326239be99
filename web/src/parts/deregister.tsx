/** Deregisters the stage. The user types the stage's name to confirm. */
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import Modal from "@cloudscape-design/components/modal";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useState } from "react";
import { type StageRead, usePage } from "../api";
import { useNotify } from "../notify";
import { go } from "../router";
import { useStacks } from "../stacks";
import { useStage } from "../stage-context";

export function Deregister({ stage }: { stage: StageRead }) {
  const { running } = useStage();
  const [open, setOpen] = useState(false);
  const hasDatabase = stage.source !== "none";
  return (
    <Container
      header={
        <Header
          variant="h2"
          actions={
            <Button
              disabled={running || hasDatabase}
              disabledReason={
                hasDatabase ? "Remove or detach the stage's database first." : "Wait until the current rebuild finishes."
              }
              onClick={() => setOpen(true)}
            >
              Deregister stage
            </Button>
          }
        >
          Deregister stage
        </Header>
      }
    >
      stagedb deletes the stage's CloudFormation stack and its secret. It doesn't delete the ECS services or any snapshots.
      {open && <Confirm stage={stage} close={() => setOpen(false)} />}
    </Container>
  );
}

function Confirm({ stage, close }: { stage: StageRead; close: () => void }) {
  const { api } = usePage();
  const { name } = useStage();
  const stacks = useStacks();
  const notify = useNotify();
  const [typed, setTyped] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const [key] = useState(() => crypto.randomUUID());

  const deregister = async () => {
    setBusy(true);
    setError(null);
    try {
      await api.deregister(name, stage.etag, key);
      notify({
        type: "success",
        content: `The stage ${name.stack} ${name.stage} is being deregistered. It disappears from the list in about a minute.`,
      });
      stacks.again();
      go({ screen: "stacks" });
    } catch (caught) {
      setBusy(false);
      setError(caught as Error);
    }
  };
  return (
    <Modal
      visible
      header={`Deregister ${name.stack} ${name.stage}?`}
      closeAriaLabel="Close without deregistering"
      onDismiss={close}
      footer={
        <Box float="right">
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" onClick={close}>
              Cancel
            </Button>
            <Button variant="primary" disabled={typed !== name.stage} loading={busy} onClick={() => void deregister()}>
              Deregister stage
            </Button>
          </SpaceBetween>
        </Box>
      }
    >
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (typed === name.stage && !busy) void deregister();
        }}
      >
        <SpaceBetween size="m">
          <Alert type="warning" header="The stage's secret is deleted">
            If your own task definitions refer to the secret, remove those references first. Otherwise, new containers can't
            start. To undo this, register the stage again.
          </Alert>
          <FormField label={`Type ${name.stage} to confirm`} errorText={error?.message}>
            <Input
              value={typed}
              onChange={({ detail }) => setTyped(detail.value)}
              placeholder={name.stage}
              autoComplete={false}
              spellcheck={false}
            />
          </FormField>
        </SpaceBetween>
      </form>
    </Modal>
  );
}
