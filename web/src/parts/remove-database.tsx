/** Removes or detaches the database. The user types the DB identifier to confirm. */
import Alert from "@cloudscape-design/components/alert";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import { useState } from "react";
import { type Read, Refusal, usePage } from "../api";
import { forgetSave } from "../logic/last-save";
import { fieldSentence } from "../logic/save";
import { useLock, useStage } from "../stage-context";
import { ConfirmByTyping } from "./confirm-by-typing";

export function RemoveDatabase({ database }: { database: Read }) {
  const lock = useLock("deleteDatabase");
  const [open, setOpen] = useState(false);
  const attached = database.settings.source === "attached";
  return (
    <Container
      header={
        <Header
          variant="h2"
          actions={
            <Button {...lock} onClick={() => setOpen(true)}>
              {attached ? "Detach database" : "Remove database"}
            </Button>
          }
        >
          {attached ? "Detach database" : "Remove database"}
        </Header>
      }
    >
      {attached
        ? "The containers lose the database's runtime variables. The database, its data, and its users don't change."
        : "The containers lose the database's runtime variables, then RDS takes a final snapshot and deletes the database. You can restore the database from the snapshot later."}
      {open && <Confirm database={database} attached={attached} close={() => setOpen(false)} />}
    </Container>
  );
}

function Confirm({ database, attached, close }: { database: Read; attached: boolean; close: () => void }) {
  const { api } = usePage();
  const { name, begun } = useStage();
  const identifier =
    database.settings.source === "attached" ? database.settings.identifier : `${name.stack}-${name.stage}-postgres`;

  const remove = async (typed: string, key: string) => {
    await api.remove(name, typed, database.etag, key);
    forgetSave(name);
    close();
    begun();
  };
  const sentence = (error: Error) =>
    fieldSentence(error instanceof Refusal ? error.field("/confirm") : undefined) ?? error.message;
  return (
    <ConfirmByTyping
      header={attached ? `Detach ${identifier}?` : `Remove ${identifier}?`}
      verb={attached ? "Detach database" : "Remove database"}
      closeLabel={attached ? "Close without detaching" : "Close without removing"}
      expected={identifier}
      confirm={remove}
      sentence={sentence}
      close={close}
    >
      <Alert type="warning" header={attached ? "Detaching the database rebuilds the stage" : "Removing the database rebuilds the stage"}>
        Your application may not be accessible on this stage until the rebuild and redeploy have completed.{" "}
        {attached
          ? "After that, the containers no longer have a database."
          : "After that, the containers no longer have a database. The data is kept in the final snapshot."}
      </Alert>
    </ConfirmByTyping>
  );
}
