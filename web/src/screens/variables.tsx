/** Runtime variables: what each service and job has, where the values come from, and how to restore what's missing. */
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import Link from "@cloudscape-design/components/link";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Spinner from "@cloudscape-design/components/spinner";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { lazy, Suspense, useCallback, useRef, useState } from "react";
import { type RuntimeVariables, usePage } from "../api";
import { holdersOf, lacksSome, secretName } from "../logic/variables";
import { useNotify } from "../notify";
import { Copyable } from "../parts/copyable";
import { ProblemAlert } from "../parts/problem";
import { VariablesOf } from "../parts/variables-of";
import { useResource } from "../resource";
import { follow, pathOf } from "../router";
import { useLock, useStage } from "../stage-context";

const Snippets = lazy(() => import("../parts/snippets"));

/** Milliseconds between reads while variables are missing, because they may be about to be restored. */
const MISSING = 3000;
/** Milliseconds after a restoration was asked for until its story is complete. */
const SETTLING = 20_000;
/** After these milliseconds, the user can ask for another restoration. */
const PATIENCE = 120_000;

export default function Variables() {
  const { api } = usePage();
  const { name, version } = useStage();
  const notify = useNotify();
  const [restoring, setRestoring] = useState(false);
  const since = useRef(0);
  const read = useCallback(
    async (signal: AbortSignal) => {
      const found = await api.variables(name, signal);
      if (!lacksSome(found) || Date.now() - since.current > PATIENCE) setRestoring(false);
      return found;
    },
    // eslint-disable-next-line react-hooks/exhaustive-deps -- a finished rebuild can change the variables
    [api, name, version],
  );
  const { value, error, again } = useResource(read, (found) =>
    (found && lacksSome(found)) || Date.now() - since.current < SETTLING ? MISSING : null,
  );
  if (error && !value) return <ProblemAlert error={error} header="Couldn't load the runtime variables" again={again} />;

  const restore = async () => {
    since.current = Date.now();
    setRestoring(true);
    try {
      const { services, jobs } = await api.restoreVariables(name, crypto.randomUUID());
      if (services.length + jobs.length === 0) {
        setRestoring(false);
        notify({ type: "info", content: "There was nothing that stagedb can restore." });
      }
    } catch (caught) {
      setRestoring(false);
      notify({ type: "error", header: "Couldn't restore the variables", content: (caught as Error).message });
    }
    again();
  };
  return (
    <SpaceBetween size="l">
      <Container
        header={
          <Header
            variant="h1"
            description="Environment variables of this stage's containers. The values are stored in Secrets Manager. ECS reads them when a container starts."
            actions={value && lacksSome(value) && <Restore restoring={restoring} restore={() => void restore()} />}
          >
            Runtime variables
          </Header>
        }
      >
        {value ? <Source value={value} /> : <StatusIndicator type="loading">Loading runtime variables</StatusIndicator>}
      </Container>
      {value && holdersOf(value).map((holder) => <VariablesOf key={holder.key} holder={holder} secret={secretName(value.secretArn)} />)}
      {value?.secretArn && (
        <Suspense fallback={<Spinner />}>
          <Snippets />
        </Suspense>
      )}
    </SpaceBetween>
  );
}

function Restore({ restoring, restore }: { restoring: boolean; restore: () => void }) {
  const lock = useLock("postRuntimeVariables");
  return (
    <Button
      variant="primary"
      loading={restoring}
      loadingText="Restoring the variables"
      {...lock}
      onClick={restore}
    >
      Restore variables
    </Button>
  );
}

function Source({ value }: { value: RuntimeVariables }) {
  const { name } = useStage();
  const hasSome = lacksSome(value) || holdersOf(value).some(({ has }) => has.variables.length > 0);
  return (
    <SpaceBetween size="m">
      {!hasSome && (
        <Box color="text-body-secondary">
          The containers get runtime variables when the stage has a{" "}
          <Link href={pathOf({ ...name, screen: "database" })} onFollow={follow}>
            database
          </Link>
          .
        </Box>
      )}
      <KeyValuePairs
        columns={3}
        items={[
          { label: "Secret", value: value.secretArn ? <Copyable text={secretName(value.secretArn)} /> : "–" },
          { label: "SSM parameter with the ARN of the secret", value: <Copyable text={value.secretArnParameter} /> },
          {
            label: "Restored after a deployment without them",
            value: (
              <>
                {value.restoreVariables ? "Yes" : "No"}{" "}
                <Link href={pathOf({ ...name, screen: "stage" })} onFollow={follow} ariaLabel="Change whether variables are restored">
                  Change
                </Link>
              </>
            ),
          },
        ]}
      />
    </SpaceBetween>
  );
}
