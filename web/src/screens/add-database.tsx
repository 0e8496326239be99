/** Add a database: create one, attach an existing one, or restore one from a snapshot. */
import Container from "@cloudscape-design/components/container";
import ContentLayout from "@cloudscape-design/components/content-layout";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Spinner from "@cloudscape-design/components/spinner";
import Tiles from "@cloudscape-design/components/tiles";
import { lazy, Suspense, useCallback } from "react";
import { usePage } from "../api";
import { useDraft } from "../draft";
import { AccessNote } from "../parts/access-note";
import { NewForm } from "../parts/new-form";
import { ProblemAlert } from "../parts/problem";
import { useResource } from "../resource";
import { useAccess, useStage } from "../stage-context";

const AttachPart = lazy(() => import("../parts/attach-form"));

export type Kind = "new" | "attach" | "snapshot";

export default function AddDatabase() {
  const { api } = usePage();
  const { name, version } = useStage();
  const read = useCallback(
    (signal: AbortSignal) => api.database(name, signal),
    // eslint-disable-next-line react-hooks/exhaustive-deps -- a finished rebuild changes the database
    [api, name, version],
  );
  const { value, error, again } = useResource(read);
  const access = useAccess("previewDatabase", "putDatabase");
  const [draft, change] = useDraft<{ kind: Kind }>(`source:${name.stack}/${name.stage}`, { kind: "new" });
  if (error && !value) return <ProblemAlert error={error} header="Couldn't load the form" again={again} />;
  if (!value) return <Spinner size="large" />;
  const sources = value.changeable.sources;
  const attached = value.settings.source === "attached";
  const kind: Kind = attached ? "attach" : draft.kind;
  if (value.settings.source === "created") {
    return (
      <ProblemAlert
        error={new Error("Remove the current database before you add another one.")}
        header="This stage already has a database"
      />
    );
  }
  return (
    <ContentLayout
      header={
        <Header
          variant="h1"
          description={attached ? "Attach another database, use different credentials, or both." : "Choose where this stage stores its data."}
        >
          {attached ? "Change attached database" : "Add a database"}
        </Header>
      }
    >
      <SpaceBetween size="l">
        <AccessNote access={access} />
        {!attached && (
          <Container header={<Header variant="h2">Source</Header>}>
            <Tiles
              ariaLabel="Source"
              value={kind}
              columns={3}
              onChange={({ detail }) => change({ kind: detail.value as Kind })}
              items={[
                {
                  value: "new",
                  label: "New Postgres database",
                  description: "Create a DB instance for this stage, with deletion protection and automated backups.",
                  disabled: !sources.includes("created"),
                },
                {
                  value: "attach",
                  label: "Existing AWS database",
                  description: "Use a database that's already in your account. stagedb never modifies or deletes it.",
                  disabled: !sources.includes("attached"),
                },
                {
                  value: "snapshot",
                  label: "Restore from snapshot",
                  description: "Create a DB instance with the data of an earlier database.",
                  disabled: !sources.includes("created"),
                },
              ]}
            />
          </Container>
        )}
        {kind === "attach" ? (
          <Suspense fallback={<Spinner />}>
            <AttachPart database={value} />
          </Suspense>
        ) : (
          <NewForm key={kind} etag={value.etag} snapshot={kind === "snapshot"} />
        )}
      </SpaceBetween>
    </ContentLayout>
  );
}
