/** Changing a database of the stage's own. */
import Alert from "@cloudscape-design/components/alert";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import Form from "@cloudscape-design/components/form";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useState } from "react";
import { useDraft } from "../draft";
import { byField, OWN_FIELDS } from "../logic/errors";
import { type FieldErrors, formOf, NEW, ownBody } from "../logic/save";
import { date } from "../logic/words";
import type { Read } from "../screens/database";
import { useStage } from "../screens/stage-context";
import { InstanceType, MoreSettings, Storage } from "./own-fields";
import { ProblemAlert } from "./problem";

/** The name of the database inside cannot be changed, so it has no field here. */
const SHOWN = OWN_FIELDS.filter((field) => field !== "/databaseName" && field !== "/fromSnapshot");

export function ChangeForm({ database }: { database: Read }) {
  const { name, running, review } = useStage();
  const initial = formOf(database.settings) ?? NEW;
  const [form, change, reset] = useDraft(`change:${name.stack}/${name.stage}`, initial);
  const [errors, setErrors] = useState<FieldErrors>({});
  const [whole, setWhole] = useState<Error | null>(null);
  const { changeable } = database;
  const dirty = JSON.stringify(form) !== JSON.stringify(initial);
  const locked = running || !changeable.instanceClass;

  const save = () => {
    setWhole(null);
    const made = ownBody(form, "change");
    if ("errors" in made) {
      setErrors(made.errors);
      return;
    }
    setErrors({});
    review({
      body: made.body,
      etag: database.etag,
      refused: (error) => {
        const { fields, whole: rest } = byField(error, SHOWN);
        setErrors(fields);
        setWhole(rest);
      },
    });
  };

  const live = database.live?.storageGiB;
  const hint = changeable.storageEarliest
    ? `Storage has to rest after its last change: it can grow again from ${date(changeable.storageEarliest)}.`
    : `${live == null ? "" : `${String(live)} GiB now; `}from ${String(changeable.minStorageGiB)} to ${String(changeable.maxStorageGiB)} GiB if it grows.`;
  const fields = {
    form,
    change,
    errors,
    disabled: locked ? true : undefined,
    storageHint: hint,
    storageFixed: !changeable.storage && !changeable.storageEarliest,
    versions: changeable.engineVersions,
    version: `Stay with ${database.live?.engineVersion ?? initial.engineVersion}`,
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (!locked) save();
      }}
    >
      <Container header={<Header variant="h2">Change</Header>}>
        <Form
          actions={
            <SpaceBetween direction="horizontal" size="xs">
              {dirty && !locked && (
                <Button
                  formAction="none"
                  variant="link"
                  onClick={() => {
                    reset();
                    setErrors({});
                    setWhole(null);
                  }}
                >
                  Discard changes
                </Button>
              )}
              <Button
                variant="primary"
                disabled={locked}
                disabledReason={running ? "A rebuild is running." : "The database is not available now."}
              >
                Save
              </Button>
            </SpaceBetween>
          }
        >
          <SpaceBetween size="l">
            {whole && <ProblemAlert error={whole} header="This cannot be saved now" />}
            {locked && (
              <Alert type="info">
                {running
                  ? "Nothing can be changed while the stage is rebuilt. What you type is kept."
                  : `Nothing can be changed while the database is ${database.state.replaceAll("-", " ")}.`}
              </Alert>
            )}
            <InstanceType {...fields} />
            <Storage {...fields} />
            <MoreSettings {...fields} />
          </SpaceBetween>
        </Form>
      </Container>
    </form>
  );
}
