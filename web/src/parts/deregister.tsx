/** Deregisters the stage. The user types the stage's name to confirm. */
import Alert from "@cloudscape-design/components/alert";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import { useState } from "react";
import { type StageRead, usePage } from "../api";
import { lockOf, WAIT } from "../logic/access";
import { useNotify } from "../notify";
import { go } from "../router";
import { useStacks } from "../stacks";
import { useAccess, useStage } from "../stage-context";
import { ConfirmByTyping } from "./confirm-by-typing";

export function Deregister({ stage }: { stage: StageRead }) {
  const { running } = useStage();
  const [open, setOpen] = useState(false);
  const hasDatabase = stage.source !== "none";
  const lock = lockOf(
    useAccess("deleteStage"),
    hasDatabase && "Remove or detach the stage's database first.",
    running && WAIT,
  );
  return (
    <Container
      header={
        <Header
          variant="h2"
          actions={
            <Button {...lock} onClick={() => setOpen(true)}>
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

  const deregister = async (_typed: string, key: string) => {
    await api.deregister(name, stage.etag, key);
    notify({
      type: "success",
      content: `The stage ${name.stack} ${name.stage} is being deregistered. It disappears from the list in about a minute.`,
    });
    stacks.again();
    go({ screen: "stacks" });
  };
  return (
    <ConfirmByTyping
      header={`Deregister ${name.stack} ${name.stage}?`}
      verb="Deregister stage"
      closeLabel="Close without deregistering"
      expected={name.stage}
      confirm={deregister}
      sentence={(error) => error.message}
      close={close}
    >
      <Alert type="warning" header="The stage's secret is deleted">
        If your own task definitions refer to the secret, remove those references first. Otherwise, new containers can't
        start. To undo this, register the stage again.
      </Alert>
    </ConfirmByTyping>
  );
}
