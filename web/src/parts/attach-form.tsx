/** The form that attaches an existing database. */
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import Form from "@cloudscape-design/components/form";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import RadioGroup from "@cloudscape-design/components/radio-group";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import Table from "@cloudscape-design/components/table";
import TextFilter from "@cloudscape-design/components/text-filter";
import { useCallback, useState } from "react";
import { type FoundDatabase, type Read, type Save, usePage } from "../api";
import { useConnectionTests } from "../connection-test";
import { useDraft } from "../draft";
import { isTesting, knowledgeOf, shownOf, valuesOf } from "../logic/connection-test";
import { ATTACH_FIELDS, byField } from "../logic/errors";
import { ATTACH, attachBody, type AttachForm as Form_, type FieldErrors, fieldSentence } from "../logic/save";
import { databaseStatus, matches, sentence } from "../logic/words";
import { useResource } from "../resource";
import { go, pathOf } from "../router";
import { useLock, useStage } from "../stage-context";
import { ConnectionResult } from "./connection-result";
import { ProblemAlert } from "./problem";

const SECRET = ["password"] as const;

/** The form for the database that's attached now, or an empty one. */
function initialOf({ settings }: Read): Form_ {
  if (settings.source !== "attached") return ATTACH;
  return {
    ...ATTACH,
    identifier: settings.identifier,
    kind: settings.kind,
    databaseName: settings.databaseName,
    credentials: "kept",
    secretArn: settings.credentials?.secretArn ?? "",
  };
}

export default function AttachForm({ database }: { database: Read }) {
  const { name, review } = useStage();
  const lock = useLock("previewDatabase", "putDatabase");
  const [form, change] = useDraft<Form_>(`attach:${name.stack}/${name.stage}`, initialOf(database), SECRET);
  const [errors, setErrors] = useState<FieldErrors>({});
  const [whole, setWhole] = useState<{ error: Error; header: string } | null>(null);
  const attached = database.settings.source === "attached";
  const { etag } = database;
  const { tests, start } = useConnectionTests();
  const testLock = useLock("testConnection");
  const made = attachBody(form);
  const shown = shownOf(tests, "body" in made ? valuesOf(made.body, etag) : undefined);

  /** Passes on what the user entered, unless it has errors. */
  const check = (header: string, send: (body: Save, refused: (error: Error) => void) => void) => {
    setWhole(null);
    if ("errors" in made) {
      setErrors(made.errors);
      return;
    }
    setErrors({});
    send(made.body, (error) => {
      const { fields, whole: rest } = byField(error, ATTACH_FIELDS);
      setErrors(fields);
      setWhole(rest && { error: rest, header });
    });
  };
  const save = () =>
    check("Your changes weren't saved", (body, refused) =>
      review({
        body,
        etag,
        connection: knowledgeOf(tests, valuesOf(body, etag)),
        saved: () => go(pathOf({ ...name, screen: "database" })),
        refused,
      }),
    );
  const test = () => check("The connection wasn't tested", (body, refused) => start(body, etag, refused));
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (!lock.disabled) save();
      }}
    >
      <Form
        actions={
          <SpaceBetween direction="horizontal" size="xs">
            <Button formAction="none" variant="link" onClick={() => go(pathOf({ ...name, screen: "database" }))}>
              Cancel
            </Button>
            <Button formAction="none" {...testLock} loading={isTesting(tests)} loadingText="Testing the connection" onClick={test}>
              Test connection
            </Button>
            <Button variant="primary" {...lock}>
              Save
            </Button>
          </SpaceBetween>
        }
      >
        <SpaceBetween size="l">
          {whole && <ProblemAlert {...whole} />}
          <Choice form={form} change={change} error={errors["/identifier"]} />
          <Container header={<Header variant="h2">Connection</Header>}>
            <SpaceBetween size="l">
              <FormField
                label="Database name"
                description="The name of the Postgres database that your application connects to."
                errorText={fieldSentence(errors["/databaseName"])}
              >
                <Input
                  value={form.databaseName}
                  spellcheck={false}
                  autoComplete={false}
                  onChange={({ detail }) => change({ databaseName: detail.value })}
                />
              </FormField>
              <FormField label="Credentials">
                <RadioGroup
                  value={form.credentials}
                  onChange={({ detail }) => change({ credentials: detail.value as Form_["credentials"] })}
                  items={[
                    ...(attached ? [{ value: "kept", label: "Keep the current credentials" }] : []),
                    {
                      value: "secret",
                      label: "Secrets Manager secret",
                      description: "stagedb reads the secret at every rebuild. After you rotate the password, rebuild the stage.",
                    },
                    {
                      value: "typed",
                      label: "Username and password",
                      description: "stagedb stores them in the stage's own secret.",
                    },
                  ]}
                />
              </FormField>
              {form.credentials === "secret" && (
                <FormField
                  label="Secret ARN"
                  description="The value of the secret must be a JSON object with the keys username and password."
                  errorText={fieldSentence(errors["/credentials/secretArn"])}
                >
                  <Input
                    value={form.secretArn}
                    spellcheck={false}
                    autoComplete={false}
                    placeholder="arn:aws:secretsmanager:…"
                    onChange={({ detail }) => change({ secretArn: detail.value })}
                  />
                </FormField>
              )}
              {form.credentials === "typed" && (
                <>
                  <FormField label="Username" errorText={fieldSentence(errors["/credentials/username"])}>
                    <Input
                      value={form.username}
                      spellcheck={false}
                      autoComplete="off"
                      onChange={({ detail }) => change({ username: detail.value })}
                    />
                  </FormField>
                  <FormField label="Password" errorText={fieldSentence(errors["/credentials/password"])}>
                    <Input
                      type="password"
                      value={form.password}
                      autoComplete="new-password"
                      onChange={({ detail }) => change({ password: detail.value })}
                    />
                  </FormField>
                </>
              )}
              <Alert type="info">
                stagedb adds one inbound rule to the database's security group so that this stage's services and jobs can connect. It
                doesn't change anything else. A connection test adds the rule only while it runs.
              </Alert>
            </SpaceBetween>
          </Container>
          {shown && <ConnectionResult {...shown} />}
        </SpaceBetween>
      </Form>
    </form>
  );
}

function Choice({
  form,
  change,
  error,
}: {
  form: Form_;
  change: (part: Partial<Form_>) => void;
  error: string | undefined;
}) {
  const { api } = usePage();
  const { name } = useStage();
  const [filter, setFilter] = useState("");
  const { value: databases, error: failed, again } = useResource(useCallback(() => api.databases(name), [api, name]));
  if (failed && !databases) {
    return <ProblemAlert error={failed} header="Couldn't load the databases" again={again} />;
  }
  const words = filter.trim().toLowerCase();
  const found = (databases ?? [])
    .filter((each) => [each.identifier, each.engine, each.status].some((text) => text.includes(words)))
    .sort((a, b) => Number(b.attachable) - Number(a.attachable) || a.identifier.localeCompare(b.identifier));
  const isChosen = (each: FoundDatabase) =>
    each.identifier === form.identifier && (form.kind === "" || each.kind === form.kind);
  return (
    <Table
      variant="container"
      selectionType="single"
      trackBy={(each) => `${each.kind}/${each.identifier}`}
      items={found}
      loading={!databases}
      loadingText="Loading databases"
      selectedItems={(databases ?? []).filter(isChosen)}
      isItemDisabled={(each) => !each.attachable && !isChosen(each)}
      onSelectionChange={({ detail }) => {
        const chosen = detail.selectedItems[0];
        if (!chosen) return;
        change({
          identifier: chosen.identifier,
          kind: chosen.kind,
          databaseName: chosen.databaseName ?? form.databaseName,
          ...(chosen.managedSecretArn ? { credentials: "secret", secretArn: chosen.managedSecretArn } : {}),
        });
      }}
      wrapLines
      ariaLabels={{
        tableLabel: "Databases in this account",
        selectionGroupLabel: "Choose a database",
        itemSelectionLabel: (_, each) => each.identifier,
      }}
      header={
        <Header
          variant="h2"
          counter={databases ? `(${String(databases.length)})` : undefined}
          description={
            error ? (
              <Box color="text-status-error">{fieldSentence(error)}</Box>
            ) : (
              "RDS for PostgreSQL and Aurora PostgreSQL databases in this account and Region."
            )
          }
        >
          Existing database
        </Header>
      }
      filter={
        <TextFilter
          filteringText={filter}
          filteringPlaceholder="Find a database"
          filteringAriaLabel="Find a database"
          countText={matches(found.length)}
          onChange={({ detail }) => setFilter(detail.filteringText)}
        />
      }
      empty={
        <Box textAlign="center" padding="m">
          <Box variant="strong">{databases?.length ? "No matches" : "No databases"}</Box>
          <Box variant="p" color="text-body-secondary">
            {databases?.length
              ? "No databases match your search. Try a different search."
              : "This account has no RDS for PostgreSQL or Aurora PostgreSQL databases in this Region."}
          </Box>
        </Box>
      }
      columnDefinitions={[
        { id: "identifier", header: "DB identifier", cell: (each) => each.identifier, isRowHeader: true, minWidth: 150 },
        {
          id: "engine",
          header: "Engine",
          minWidth: 150,
          cell: (each) => `${each.engine === "postgres" ? "PostgreSQL" : sentence(each.engine)} ${each.engineVersion}`,
        },
        {
          id: "status",
          header: "Status",
          minWidth: 120,
          cell: (each) => {
            const status = databaseStatus(each.status);
            return <StatusIndicator type={status.type}>{status.text}</StatusIndicator>;
          },
        },
        {
          id: "use",
          header: "Can be attached",
          minWidth: 200,
          cell: (each) =>
            each.attachable
              ? each.usedBy.length > 0
                ? `Yes. Also used by ${each.usedBy.join(", ")}`
                : "Yes"
              : `No: ${each.whyNot ?? "this database isn't supported"}`,
        },
      ]}
    />
  );
}
