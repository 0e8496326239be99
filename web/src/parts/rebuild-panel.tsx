/** The progress of a rebuild, or why it failed and what to do next. */
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import ExpandableSection from "@cloudscape-design/components/expandable-section";
import Header from "@cloudscape-design/components/header";
import ProgressBar from "@cloudscape-design/components/progress-bar";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Steps, { type StepsProps } from "@cloudscape-design/components/steps";
import { useEffect, useState } from "react";
import type { Rebuild } from "../api";
import { downtimeOf } from "../logic/downtime";
import { lastSave } from "../logic/last-save";
import { duration, isRunning, progress, stepHint, stepTitle } from "../logic/words";
import { follow, pathOf } from "../router";
import { useLock, useStage } from "../stage-context";
import { RebuildNow } from "./rebuild-now";

/** Shown while a rebuild is running, and after one has failed. A complete rebuild needs no panel. */
export function RebuildPanel({ rebuild }: { rebuild: Rebuild }) {
  if (isRunning(rebuild)) return <Running rebuild={rebuild} />;
  if (rebuild.phase === "complete") return null;
  return <Failed rebuild={rebuild} />;
}

function useNow(): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  return now;
}

function Running({ rebuild }: { rebuild: Rebuild }) {
  const now = useNow();
  const undoing = rebuild.steps.some((step) => step.status === "failed");
  const running = rebuild.steps.find((step) => step.status === "running");
  const since = rebuild.startedAt ? duration(now - Date.parse(rebuild.startedAt)) : "";
  return (
    <Container
      header={
        <Header
          variant="h2"
          description="Your application may not be accessible on this stage until the rebuild and redeploy have completed. You can leave this page. The rebuild continues."
        >
          {undoing ? "Rolling back the change" : "Rebuilding the stage"}
        </Header>
      }
    >
      <SpaceBetween size="m">
        <ProgressBar
          value={progress(rebuild)}
          label={undoing ? "A step failed. Restoring the previous settings" : running ? stepTitle(running) : "Starting"}
          description={running && !undoing ? stepHint(running.name) : undefined}
          additionalInfo={since ? `Running for ${since}` : undefined}
        />
        <RebuildSteps rebuild={rebuild} now={now} />
      </SpaceBetween>
    </Container>
  );
}

const STATUS: Record<string, StepsProps.Status> = {
  pending: "pending",
  running: "in-progress",
  complete: "success",
  failed: "error",
};

/** The steps of a rebuild and how long each one took. */
export function RebuildSteps({ rebuild, now = 0 }: { rebuild: Rebuild; now?: number }) {
  return (
    <Steps
      ariaLabel="Rebuild steps"
      steps={rebuild.steps.map((step) => {
        let took = "";
        if (step.startedAt && step.endedAt) took = duration(Date.parse(step.endedAt) - Date.parse(step.startedAt));
        else if (step.startedAt && now > 0 && step.status === "running") took = duration(now - Date.parse(step.startedAt));
        const words = { pending: "not started", running: "in progress", complete: "complete", failed: "failed" }[step.status] ?? step.status;
        const downtime = downtimeOf(rebuild, step);
        return {
          status: STATUS[step.status] ?? "info",
          header: stepTitle(step),
          details: (
            <>
              <Box variant="small">
                {step.status === "pending" && !isRunning(rebuild) ? "Skipped" : `${words.charAt(0).toUpperCase()}${words.slice(1)}`}
                {took && `, ${took}`}
              </Box>
              {downtime !== undefined && (
                <Box variant="small" display="block">
                  {downtime}
                </Box>
              )}
            </>
          ),
          statusIconAriaLabel: words,
        };
      })}
    />
  );
}

function Failed({ rebuild }: { rebuild: Rebuild }) {
  const { name, review } = useStage();
  const lock = useLock("previewDatabase", "putDatabase");
  const [refusal, setRefusal] = useState<Error | null>(null);
  const rolledBack = rebuild.phase === "rolled-back";
  const again = rolledBack ? lastSave(name) : undefined;
  return (
    <Alert
      type="error"
      header={
        rolledBack
          ? "The last rebuild failed and was rolled back"
          : "The last rebuild failed"
      }
      action={
        !rolledBack ? (
          <RebuildNow text="Retry rebuild" />
        ) : again ? (
          <Button
            {...lock}
            onClick={() => {
              setRefusal(null);
              review({ body: again, etag: undefined, refused: setRefusal });
            }}
          >
            Retry change
          </Button>
        ) : (
          <Button href={pathOf({ ...name, screen: "database" })} onFollow={follow}>
            View settings
          </Button>
        )
      }
    >
      <SpaceBetween size="xs">
        <Box color="inherit" variant="p" padding="n">
          <span className="plain-text">{rebuild.reason ?? "AWS didn't give a reason."}</span>
        </Box>
        {rebuild.nextStep && (
          <Box color="inherit" variant="p" padding="n">
            <strong>What to do next:</strong> {rebuild.nextStep}
          </Box>
        )}
        {refusal && (
          <Box color="inherit" variant="p" padding="n">
            <strong>The change can't be retried:</strong> {refusal.message}
          </Box>
        )}
        {(rebuild.raw?.length ?? 0) > 0 && (
          <ExpandableSection headerText="AWS message">
            <pre className="code" tabIndex={0} role="region" aria-label="AWS message">
              {rebuild.raw?.join("\n")}
            </pre>
          </ExpandableSection>
        )}
      </SpaceBetween>
    </Alert>
  );
}
