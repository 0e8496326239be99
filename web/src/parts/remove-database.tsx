/** Removes or detaches the database. The user types the DB identifier to confirm. */
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
import { type Read, Refusal, usePage } from "../api";
import { forgetSave } from "../logic/last-save";
import { fieldSentence } from "../logic/save";
import { useStage } from "../stage-context";

export function RemoveDatabase({ database }: { database: Read }) {
  const { running } = useStage();
  const [open, setOpen] = useState(false);
  const attached = database.settings.source === "attached";
  return (
    <Container
      header={
        <Header
          variant="h2"
          actions={
            <Button disabled={running} disabledReason="Wait until the current rebuild finishes." onClick={() => setOpen(true)}>
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
  const [typed, setTyped] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const [key] = useState(() => crypto.randomUUID());
  const verb = attached ? "Detach database" : "Remove database";

  const remove = async () => {
    setBusy(true);
    setError(null);
    try {
      await api.remove(name, typed, database.etag, key);
      forgetSave(name);
      close();
      begun();
    } catch (caught) {
      setBusy(false);
      setError(caught as Error);
    }
  };
  const fieldError = error instanceof Refusal ? error.field("/confirm") : undefined;
  return (
    <Modal
      visible
      header={attached ? `Detach ${identifier}?` : `Remove ${identifier}?`}
      closeAriaLabel={attached ? "Close without detaching" : "Close without removing"}
      onDismiss={close}
      footer={
        <Box float="right">
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" onClick={close}>
              Cancel
            </Button>
            <Button variant="primary" disabled={typed !== identifier} loading={busy} onClick={() => void remove()}>
              {verb}
            </Button>
          </SpaceBetween>
        </Box>
      }
    >
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (typed === identifier && !busy) void remove();
        }}
      >
        <SpaceBetween size="m">
          <Alert type="warning" header={attached ? "Detaching the database rebuilds the stage" : "Removing the database rebuilds the stage"}>
            Your application may not be accessible on this stage until the rebuild and redeploy have completed.{" "}
            {attached
              ? "After that, the containers no longer have a database."
              : "After that, the containers no longer have a database. The data is kept in the final snapshot."}
          </Alert>
          <FormField
            label={`Type ${identifier} to confirm`}
            errorText={fieldSentence(fieldError) ?? (error && !fieldError ? error.message : undefined)}
          >
            <Input value={typed} onChange={({ detail }) => setTyped(detail.value)} placeholder={identifier} autoComplete={false} spellcheck={false} />
          </FormField>
        </SpaceBetween>
      </form>
    </Modal>
  );
}
