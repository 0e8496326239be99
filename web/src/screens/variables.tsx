/** Runtime variables: what the stage's containers get, and from where. */
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
import { useStage } from "./stage-context";

export function Variables() {
  const { api } = usePage();
  const { name, version } = useStage();
  const read = useCallback(
    (signal: AbortSignal) => api.variables(name, signal),
    // eslint-disable-next-line react-hooks/exhaustive-deps -- a rebuild that ended may have changed them
    [api, name, version],
  );
  const { value, error, again } = useResource(read);
  if (error && !value) return <ProblemAlert error={error} header="The variables cannot be shown" again={again} />;
  const secret = value?.secretArn?.replace(/^.*:secret:/, "").replace(/-[A-Za-z0-9]{6}$/, "");
  return (
    <SpaceBetween size="l">
      {(value?.conflicts.length ?? 0) > 0 && (
        <Alert
          type="warning"
          header="The containers did not get their variables"
          action={<RebuildNow text="Rebuild" />}
        >
          The task definition has {value?.conflicts.map((conflict) => conflict.name).join(", ")} from somebody else, which is
          never overwritten. Take it out of the task definition, then rebuild.
        </Alert>
      )}
      <Table
        variant="container"
        loading={!value}
        loadingText="Loading the variables"
        items={value?.variables ?? []}
        trackBy="name"
        wrapLines
        enableKeyboardNavigation
        ariaLabels={{ tableLabel: "Runtime variables" }}
        header={
          <Header
            variant="h1"
            description="Environment variables of this stage's containers. Their values lie in Secrets Manager; ECS reads them there when a container starts."
          >
            Runtime variables
          </Header>
        }
        empty={
          <Box textAlign="center" padding="m">
            <Box variant="strong">No variables</Box>
            <Box variant="p" color="text-body-secondary">
              The containers get them once the stage has a{" "}
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
        <Container header={<Header variant="h2">Where they are set</Header>}>
          <Copyable text={value.taskDefinition} />
        </Container>
      )}
    </SpaceBetween>
  );
}
