/** Stage details: the stage's properties and its last rebuild. */
import Alert from "@cloudscape-design/components/alert";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import Link from "@cloudscape-design/components/link";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { usePage } from "../api";
import { date, sourceInWords, stageStatus } from "../logic/words";
import { Copyable } from "../parts/copyable";
import { RebuildSteps } from "../parts/rebuild-panel";
import { RebuildNow } from "../parts/rebuild-now";
import { follow, pathOf } from "../router";
import { useStacks } from "../stacks";
import { useStage } from "../stage-context";
import SpaceBetween from "@cloudscape-design/components/space-between";

export function StageDetails() {
  const { session } = usePage();
  const { name, rebuild, running } = useStage();
  const { value: stacks } = useStacks();
  const stage = stacks
    ?.find((stack) => stack.name === name.stack)
    ?.stages.find((each) => each.name === name.stage);
  const status = rebuild ? stageStatus(running ? "updating" : rebuild.phase) : undefined;
  return (
    <SpaceBetween size="l">
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
                  {sourceInWords(stage?.source ?? "none")}
                </Link>
              ),
            },
            { label: "CloudFormation stack", value: <Copyable text={`${name.stack}-${name.stage}`} /> },
            { label: "Region", value: session.configuration.region },
          ]}
        />
      </Container>
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
    </SpaceBetween>
  );
}

export function NoStage({ stack }: { stack: string }) {
  return (
    <Alert type="warning" header="Stack not found" action={<Button href="/stacks" onFollow={follow}>View all stacks</Button>}>
      There's no stack named {stack} with a registered stage.
    </Alert>
  );
}
