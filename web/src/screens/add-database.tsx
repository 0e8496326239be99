/** Add a database: a new one, an existing one, or one that begins with a snapshot. */
import Container from "@cloudscape-design/components/container";
import ContentLayout from "@cloudscape-design/components/content-layout";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Spinner from "@cloudscape-design/components/spinner";
import Tiles from "@cloudscape-design/components/tiles";
import { lazy, Suspense, useCallback } from "react";
import { usePage } from "../api";
import { useDraft } from "../draft";
import { NewForm } from "../parts/new-form";
import { ProblemAlert } from "../parts/problem";
import { useResource } from "../resource";
import { useStage } from "./stage-context";

const AttachPart = lazy(() => import("../parts/attach-form"));

export type Kind = "new" | "attach" | "snapshot";

export default function AddDatabase() {
  const { api } = usePage();
  const { name, version } = useStage();
  const read = useCallback(
    (signal: AbortSignal) => api.database(name, signal),
    // eslint-disable-next-line react-hooks/exhaustive-deps -- a rebuild that ended has changed it
    [api, name, version],
  );
  const { value, error, again } = useResource(read);
  const [draft, change] = useDraft<{ kind: Kind }>(`source:${name.stack}/${name.stage}`, { kind: "new" });
  if (error && !value) return <ProblemAlert error={error} header="The form cannot be shown" again={again} />;
  if (!value) return <Spinner size="large" />;
  const sources = value.changeable.sources;
  const attached = value.settings.source === "attached";
  const kind: Kind = attached ? "attach" : draft.kind;
  if (value.settings.source === "created") {
    return (
      <ProblemAlert
        error={new Error("Remove the database that the stage has before you add another one.")}
        header="This stage has a database"
      />
    );
  }
  return (
    <ContentLayout
      header={
        <Header
          variant="h1"
          description={attached ? "Another database, another user, or both." : "Where the data of this stage shall live."}
        >
          {attached ? "Change the attachment" : "Add a database"}
        </Header>
      }
    >
      <SpaceBetween size="l">
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
                  description: "Made for this stage, protected and backed up.",
                  disabled: !sources.includes("created"),
                },
                {
                  value: "attach",
                  label: "Existing AWS database",
                  description: "One that is there already; it is never changed from here.",
                  disabled: !sources.includes("attached"),
                },
                {
                  value: "snapshot",
                  label: "From a snapshot",
                  description: "A new database that begins with the data of an earlier one.",
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
