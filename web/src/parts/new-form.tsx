/** The form that creates a database, either empty or from a snapshot. */
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
import { settingLabel } from "../logic/settings";
import { date } from "../logic/words";
import { useResource } from "../resource";
import { go, pathOf } from "../router";
import { useLock, useStage } from "../stage-context";
import { AppLogin, InstanceType, MoreSettings, RotationDays, Storage } from "./own-fields";
import { ProblemAlert } from "./problem";

export function NewForm({ etag, snapshot }: { etag: string | undefined; snapshot: boolean }) {
  const { name, review } = useStage();
  const lock = useLock("previewDatabase", "putDatabase");
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
  const fields = { form, change, errors, storageHint: "20 to 65,536 GiB.", version: "Default version" };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (!lock.disabled) save();
      }}
    >
      <Container header={<Header variant="h2">{snapshot ? "Restore from snapshot" : "New Postgres database"}</Header>}>
        <Form
          actions={
            <SpaceBetween direction="horizontal" size="xs">
              <Button formAction="none" variant="link" onClick={() => go(pathOf({ ...name, screen: "database" }))}>
                Cancel
              </Button>
              <Button variant="primary" {...lock}>
                Save
              </Button>
            </SpaceBetween>
          }
        >
          <SpaceBetween size="l">
            {whole && <ProblemAlert error={whole} header="Your changes weren't saved" />}
            {snapshot && <SnapshotField form={form} change={change} errors={errors} />}
            <InstanceType {...fields} />
            <Storage {...fields} storageHint={snapshot ? "At least the storage of the snapshot." : fields.storageHint} />
            {!snapshot && (
              <FormField
                label={settingLabel("databaseName") ?? "Database name"}
                description="The name of the Postgres database that your application connects to."
                constraintText="Start with a lowercase letter, then use lowercase letters, digits, and underscores. You can't change it later."
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
            <AppLogin {...fields} />
            <RotationDays {...fields} />
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
      each.createdAt ? date(each.createdAt) : "being created",
      `${String(each.storageGiB)} GiB`,
      each.engineVersion ? `PostgreSQL ${each.engineVersion}` : "",
      each.databaseName ? `database ${each.databaseName}` : "",
    ]
      .filter((part) => part !== "")
      .join(", "),
    disabled: each.status !== "available",
    disabledReason: each.status === "creating" ? "This snapshot is still being created." : "This snapshot isn't available.",
  }));
  const selected = options.find((option) => option.value === form.fromSnapshot);
  return (
    <FormField
      label={settingLabel("fromSnapshot") ?? "Snapshot"}
      description="The list includes the final snapshot of each database that was removed from this stage."
      errorText={fieldSentence(errors["/fromSnapshot"])}
    >
      <Select
        selectedOption={selected ?? null}
        options={options}
        placeholder="Choose a snapshot"
        triggerVariant="option"
        statusType={error ? "error" : snapshots ? "finished" : "loading"}
        loadingText="Loading snapshots"
        errorText="Couldn't load the snapshots."
        recoveryText="Try again"
        onLoadItems={() => {
          if (error) again();
        }}
        empty="This stage has no snapshots"
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
