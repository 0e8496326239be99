/** Stage details: the stage's properties, its services and jobs, and its last rebuild. */
import Alert from "@cloudscape-design/components/alert";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import Link from "@cloudscape-design/components/link";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Spinner from "@cloudscape-design/components/spinner";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { useCallback } from "react";
import { usePage } from "../api";
import { date, sourceInWords, stageStatus } from "../logic/words";
import { Copyable } from "../parts/copyable";
import { Deregister } from "../parts/deregister";
import { ProblemAlert } from "../parts/problem";
import { Protection } from "../parts/protection";
import { RebuildSteps } from "../parts/rebuild-panel";
import { RebuildNow } from "../parts/rebuild-now";
import { ServicesAndJobs } from "../parts/services-and-jobs";
import { useResource } from "../resource";
import { follow, pathOf } from "../router";
import { useLock, useStage } from "../stage-context";

export default function StageDetails() {
  const { api, session } = usePage();
  const { name, rebuild, running, version } = useStage();
  const read = useCallback(
    (signal: AbortSignal) => api.stage(name, signal),
    // eslint-disable-next-line react-hooks/exhaustive-deps -- a rebuild that starts or finishes changes the stage
    [api, name, version],
  );
  const { value: stage, error, again } = useResource(read);
  const status = rebuild ? stageStatus(running ? "updating" : rebuild.phase) : undefined;
  return (
    <SpaceBetween size="l">
      {stage?.source === "none" && !running && rebuild?.phase === "complete" && <NoDatabase />}
      <Container
        header={
          <Header variant="h1" description="The stage's properties and its last rebuild" actions={<RebuildNow />}>
            Stage details
          </Header>
        }
      >
        <KeyValuePairs
          columns={3}
          items={[
            { label: "Stack", value: name.stack },
            { label: "Stage", value: name.stage },
            { label: "Status", value: status ? <StatusIndicator type={status.type}>{status.text}</StatusIndicator> : "–" },
            {
              label: "Database",
              value: (
                <Link href={pathOf({ ...name, screen: "database" })} onFollow={follow}>
                  {stage ? sourceInWords(stage.source) : "–"}
                </Link>
              ),
            },
            { label: "CloudFormation stack", value: <Copyable text={`${name.stack}-${name.stage}`} /> },
            { label: "Region", value: session.configuration.region },
            { label: "VPC", value: stage?.vpcId ? <Copyable text={stage.vpcId} /> : "–" },
            { label: "SSM parameter with the ARN of the secret", value: stage ? <Copyable text={stage.secretArnParameter} /> : "–" },
          ]}
        />
      </Container>
      {error && !stage && <ProblemAlert error={error} header="Couldn't load the services and jobs" again={again} />}
      {!error && !stage && <Spinner size="large" />}
      {stage && <ServicesAndJobs stage={stage} again={again} />}
      {rebuild && !running && (
        <Container
          header={
            <Header variant="h2" description={rebuild.startedAt ? `Started ${date(rebuild.startedAt)}` : undefined}>
              Last rebuild
            </Header>
          }
        >
          <RebuildSteps rebuild={rebuild} />
        </Container>
      )}
      {stage && <Protection stage={stage} again={again} />}
      {stage && <Deregister stage={stage} />}
    </SpaceBetween>
  );
}

/** What to do next after the registration. */
function NoDatabase() {
  const { name } = useStage();
  const lock = useLock("previewDatabase", "putDatabase");
  return (
    <Alert
      type="info"
      header="The stage is registered. It doesn't have a database yet."
      action={
        <Button variant="primary" href={pathOf({ ...name, screen: "add" })} onFollow={follow} {...lock}>
          Add a database
        </Button>
      }
    >
      Create a new database, attach an existing one, or restore one from a snapshot. Then the services and jobs get their
      runtime variables.
    </Alert>
  );
}
