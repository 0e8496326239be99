/** A new database of the stage's own, empty or with the data of a snapshot. */
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import Form from "@cloudscape-design/components/form";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useCallback, useState } from "react";
import { usePage } from "../api";
import { useDraft } from "../draft";
import { byField, OWN_FIELDS } from "../logic/errors";
import { type FieldErrors, fieldSentence, NEW, ownBody, type OwnForm } from "../logic/save";
import { date } from "../logic/words";
import { useResource } from "../resource";
import { go, pathOf } from "../router";
import { useStage } from "../screens/stage-context";
import { InstanceType, MoreSettings, Storage } from "./own-fields";
import { ProblemAlert } from "./problem";

export function NewForm({ etag, snapshot }: { etag: string | undefined; snapshot: boolean }) {
  const { name, running, review } = useStage();
  const [form, change] = useDraft<OwnForm>(
    `new:${name.stack}/${name.stage}`,
    NEW,
  );
  const [errors, setErrors] = useState<FieldErrors>({});
  const [whole, setWhole] = useState<Error | null>(null);

  const save = () => {
    setWhole(null);
    const made = ownBody(form, snapshot ? "snapshot" : "new");
    if ("errors" in made) {
      setErrors(made.errors);
      return;
    }
    setErrors({});
    review({
      body: made.body,
      etag,
      saved: () => go(pathOf({ ...name, screen: "database" })),
      refused: (error) => {
        const { fields, whole: rest } = byField(error, OWN_FIELDS);
        setErrors(fields);
        setWhole(rest);
      },
    });
  };
  const fields = { form, change, errors, storageHint: "20 to 65536 GiB.", version: "The default of this account" };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (!running) save();
      }}
    >
      <Container header={<Header variant="h2">{snapshot ? "From a snapshot" : "New Postgres database"}</Header>}>
        <Form
          actions={
            <SpaceBetween direction="horizontal" size="xs">
              <Button formAction="none" variant="link" onClick={() => go(pathOf({ ...name, screen: "database" }))}>
                Cancel
              </Button>
              <Button variant="primary" disabled={running} disabledReason="A rebuild is running.">
                Save
              </Button>
            </SpaceBetween>
          }
        >
          <SpaceBetween size="l">
            {whole && <ProblemAlert error={whole} header="This cannot be saved now" />}
            {snapshot && <SnapshotField form={form} change={change} errors={errors} />}
            <InstanceType {...fields} />
            <Storage {...fields} storageHint={snapshot ? "At least as much as the snapshot has." : fields.storageHint} />
            {!snapshot && (
              <FormField
                label="Database name"
                description="The database inside, which applications connect to."
                constraintText="A lower-case letter, then lower-case letters, digits and underscores. It cannot be changed later."
                errorText={fieldSentence(errors["/databaseName"])}
              >
                <Input
                  value={form.databaseName}
                  spellcheck={false}
                  autoComplete={false}
                  onChange={({ detail }) => change({ databaseName: detail.value })}
                />
              </FormField>
            )}
            <MoreSettings {...fields} />
          </SpaceBetween>
        </Form>
      </Container>
    </form>
  );
}

function SnapshotField({
  form,
  change,
  errors,
}: {
  form: OwnForm;
  change: (part: Partial<OwnForm>) => void;
  errors: FieldErrors;
}) {
  const { api } = usePage();
  const { name } = useStage();
  const { value: snapshots, error, again } = useResource(
    useCallback(() => api.snapshots(name), [api, name]),
    (found) => (found?.some((each) => each.status === "creating") ? 3000 : null),
  );
  const options = (snapshots ?? []).map((each) => ({
    value: each.identifier,
    label: each.identifier,
    description: [
      each.createdAt ? date(each.createdAt) : "being taken",
      `${String(each.storageGiB)} GiB`,
      each.engineVersion ? `PostgreSQL ${each.engineVersion}` : "",
      each.databaseName ? `database ${each.databaseName}` : "",
    ]
      .filter((part) => part !== "")
      .join(", "),
    disabled: each.status !== "available",
    disabledReason: each.status === "creating" ? "It is still being taken." : "It could not be taken.",
  }));
  const selected = options.find((option) => option.value === form.fromSnapshot);
  return (
    <FormField
      label="Snapshot"
      description="The final snapshot of every database that was removed from this stage is here."
      errorText={fieldSentence(errors["/fromSnapshot"])}
    >
      <Select
        selectedOption={selected ?? null}
        options={options}
        placeholder="Choose a snapshot"
        triggerVariant="option"
        statusType={error ? "error" : snapshots ? "finished" : "loading"}
        loadingText="Loading the snapshots"
        errorText="The snapshots cannot be loaded."
        recoveryText="Try again"
        onLoadItems={() => {
          if (error) again();
        }}
        empty="There is no snapshot of this stage yet"
        onChange={({ detail }) => {
          const chosen = snapshots?.find((each) => each.identifier === detail.selectedOption.value);
          if (!chosen) return;
          const enough = Number(form.storageGiB) >= chosen.storageGiB;
          change({
            fromSnapshot: chosen.identifier,
            ...(enough ? {} : { storageGiB: String(chosen.storageGiB) }),
            databaseName: chosen.databaseName ?? form.databaseName,
          });
        }}
      />
    </FormField>
  );
}
