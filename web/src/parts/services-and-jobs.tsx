/** What a stage is registered with, and the switch that decides whether its variables are restored. */
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useState } from "react";
import { type StageRead, usePage } from "../api";
import { useAttempt } from "../attempt";
import { formOfStage, registrationBody } from "../logic/registration";
import { useNotify } from "../notify";
import { follow, pathOf } from "../router";
import { useAccess, useLock, useStage } from "../stage-context";
import { RegistrationSummary } from "./registration-summary";
import { RestoreSwitch } from "./restore-switch";

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
        <Restore stage={stage} again={again} />
      </SpaceBetween>
    </Container>
  );
}

function Restore({ stage, again }: { stage: StageRead; again: () => void }) {
  const { api } = usePage();
  const { name, running, begun } = useStage();
  const access = useAccess("putStage");
  const notify = useNotify();
  const [wanted, setWanted] = useState<boolean | null>(null);
  const keyFor = useAttempt();
  const save = async (restoreVariables: boolean) => {
    setWanted(restoreVariables);
    const body = registrationBody({ ...formOfStage(stage), restoreVariables });
    try {
      await api.register(name, body, stage.etag, keyFor({ body, etag: stage.etag }));
      begun();
    } catch (error) {
      setWanted(null);
      notify({ type: "error", header: "The switch wasn't changed", content: (error as Error).message });
    }
    again();
  };
  // Until the stage is read again, the switch shows what the user wants.
  const saving = wanted !== null && wanted !== stage.restoreVariables;
  return (
    <RestoreSwitch
      checked={saving ? wanted : stage.restoreVariables}
      disabled={running || saving || !access.allowed}
      reason={access.reason}
      change={(checked) => void save(checked)}
    />
  );
}
