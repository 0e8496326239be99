/** What a stage is registered with: its services, its jobs, and its switches. */
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import type { StageRead } from "../api";
import { follow, pathOf } from "../router";
import { useLock, useStage } from "../stage-context";
import { RegistrationSummary } from "./registration-summary";
import { StageSwitches } from "./stage-switches";

export function ServicesAndJobs({ stage, again }: { stage: StageRead; again: () => void }) {
  const { name } = useStage();
  const lock = useLock("putStage");
  return (
    <Container
      header={
        <Header
          variant="h2"
          description="The ECS services and jobs that get this stage's runtime variables"
          actions={
            <Button href={pathOf({ ...name, screen: "services" })} onFollow={follow} {...lock}>
              Edit services and jobs
            </Button>
          }
        >
          Services and jobs
        </Header>
      }
    >
      <SpaceBetween size="l">
        <RegistrationSummary services={stage.services} jobs={stage.jobs} live />
        <StageSwitches stage={stage} again={again} />
      </SpaceBetween>
    </Container>
  );
}
