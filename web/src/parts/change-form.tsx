/** The form that changes a database that stagedb created. */
import Alert from "@cloudscape-design/components/alert";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import Form from "@cloudscape-design/components/form";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useState } from "react";
import type { Read } from "../api";
import { useDraft } from "../draft";
import { lockOf, WAIT } from "../logic/access";
import { byField, OWN_FIELDS } from "../logic/errors";
import { type FieldErrors, formOf, NEW, ownBody } from "../logic/save";
import { date, grouped, sentence } from "../logic/words";
import { useAccess, useStage } from "../stage-context";
import { AccessNote } from "./access-note";
import { AppLogin, InstanceType, MoreSettings, RotationDays, Storage } from "./own-fields";
import { ProblemAlert } from "./problem";

/** The database name and the snapshot can't be changed, so they have no fields here. */
const SHOWN = OWN_FIELDS.filter((field) => field !== "/databaseName" && field !== "/fromSnapshot");

export function ChangeForm({ database }: { database: Read }) {
  const { name, running, review } = useStage();
  const initial = formOf(database.settings) ?? NEW;
  const [form, change, reset] = useDraft(`change:${name.stack}/${name.stage}`, initial);
  const [errors, setErrors] = useState<FieldErrors>({});
  const [whole, setWhole] = useState<Error | null>(null);
  const { changeable } = database;
  const dirty = JSON.stringify(form) !== JSON.stringify(initial);
  const access = useAccess("previewDatabase", "putDatabase");
  const resting = !running && changeable.instanceClass;
  const lock = lockOf(access, running && WAIT, !resting && "Wait until the database is available.");
  // While it isn't known whether the user may save, the fields can be edited, and only the button is disabled.
  const locked = !resting || access.reason !== undefined;

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
    ? `You can increase the storage again after ${date(changeable.storageEarliest)}.`
    : `${live == null ? "" : `Currently ${grouped(live)} GiB. `}To increase it, enter ${grouped(changeable.minStorageGiB)} to ${grouped(changeable.maxStorageGiB)} GiB.`;
  const fields = {
    form,
    change,
    errors,
    disabled: locked ? true : undefined,
    storageHint: hint,
    storageFixed: !changeable.storage && !changeable.storageEarliest,
    versions: changeable.engineVersions,
    version: `Keep ${database.live?.engineVersion ?? initial.engineVersion}`,
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (!lock.disabled) save();
      }}
    >
      <Container header={<Header variant="h2">Change settings</Header>}>
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
                {...lock}
              >
                Save
              </Button>
            </SpaceBetween>
          }
        >
          <SpaceBetween size="l">
            {whole && <ProblemAlert error={whole} header="Your changes weren't saved" />}
            <AccessNote access={access} />
            {!resting && access.reason === undefined && (
              <Alert type="info">
                {running
                  ? "You can't change settings while the stage is rebuilding. Your edits are kept."
                  : `You can't change settings right now. The status of the database is “${sentence(database.state)}”.`}
              </Alert>
            )}
            <InstanceType {...fields} />
            <Storage {...fields} />
            <AppLogin {...fields} />
            <RotationDays {...fields} />
            <MoreSettings {...fields} />
          </SpaceBetween>
        </Form>
      </Container>
    </form>
  );
}
