/** Runtime variables: the environment variables of the stage's containers, and where their values come from. */
import Alert from "@cloudscape-design/components/alert";
import Badge from "@cloudscape-design/components/badge";
import Box from "@cloudscape-design/components/box";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import Link from "@cloudscape-design/components/link";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table from "@cloudscape-design/components/table";
import { useCallback } from "react";
import { usePage } from "../api";
import { Copyable } from "../parts/copyable";
import { ProblemAlert } from "../parts/problem";
import { RebuildNow } from "../parts/rebuild-now";
import { useResource } from "../resource";
import { follow, pathOf } from "../router";
import { useStage } from "../stage-context";

export function Variables() {
  const { api } = usePage();
  const { name, version } = useStage();
  const read = useCallback(
    (signal: AbortSignal) => api.variables(name, signal),
    // eslint-disable-next-line react-hooks/exhaustive-deps -- a finished rebuild can change the variables
    [api, name, version],
  );
  const { value, error, again } = useResource(read);
  if (error && !value) return <ProblemAlert error={error} header="Couldn't load the runtime variables" again={again} />;
  const secret = value?.secretArn?.replace(/^.*:secret:/, "").replace(/-[A-Za-z0-9]{6}$/, "");
  return (
    <SpaceBetween size="l">
      {(value?.conflicts.length ?? 0) > 0 && (
        <Alert
          type="warning"
          header="The containers didn't get their runtime variables"
          action={<RebuildNow />}
        >
          The task definition already has {value?.conflicts.map((conflict) => conflict.name).join(", ")}. stagedb doesn't
          overwrite variables that it didn't add. Remove {value?.conflicts.length === 1 ? "this variable" : "these variables"}{" "}
          from the task definition, then rebuild the stage.
        </Alert>
      )}
      <Table
        variant="container"
        loading={!value}
        loadingText="Loading runtime variables"
        items={value?.variables ?? []}
        trackBy="name"
        wrapLines
        enableKeyboardNavigation
        ariaLabels={{ tableLabel: "Runtime variables" }}
        header={
          <Header
            variant="h1"
            description="Environment variables of this stage's containers. The values are stored in Secrets Manager. ECS reads them when a container starts."
          >
            Runtime variables
          </Header>
        }
        empty={
          <Box textAlign="center" padding="m">
            <Box variant="strong">No runtime variables</Box>
            <Box variant="p" color="text-body-secondary">
              The containers get runtime variables when the stage has a{" "}
              <Link href={pathOf({ ...name, screen: "database" })} onFollow={follow}>
                database
              </Link>
              .
            </Box>
          </Box>
        }
        columnDefinitions={[
          { id: "name", header: "Key", cell: (variable) => <Copyable text={variable.name} />, isRowHeader: true, minWidth: 200 },
          {
            id: "value",
            header: "Value",
            minWidth: 260,
            cell: (variable) => (
              <SpaceBetween direction="horizontal" size="xs" alignItems="center">
                <Badge color="green">Secret</Badge>
                <span className="plain-text">{secret}</span>
                <Box color="text-body-secondary">›</Box>
                <Box variant="code">{variable.secretKey}</Box>
              </SpaceBetween>
            ),
          },
        ]}
      />
      {value && value.variables.length > 0 && (
        <Container header={<Header variant="h2">Task definition</Header>}>
          <Copyable text={value.taskDefinition} />
        </Container>
      )}
    </SpaceBetween>
  );
}
