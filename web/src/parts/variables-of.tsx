/** The runtime variables of one service or job, and what's wrong with them. */
import Alert from "@cloudscape-design/components/alert";
import Badge from "@cloudscape-design/components/badge";
import Box from "@cloudscape-design/components/box";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table from "@cloudscape-design/components/table";
import { fieldSentence } from "../logic/save";
import { type Holder, revisionOf } from "../logic/variables";
import { useStage } from "../stage-context";
import { Copyable } from "./copyable";
import { RebuildNow } from "./rebuild-now";

const LIST = new Intl.ListFormat("en-US", { type: "conjunction" });

export function VariablesOf({ holder, secret }: { holder: Holder; secret: string }) {
  const { name, description, has } = holder;
  const { running } = useStage();
  return (
    <SpaceBetween size="s">
      {alertsOf(holder, running)}
      <Table
        variant="container"
        items={has.variables}
        trackBy="name"
        wrapLines
        enableKeyboardNavigation
        ariaLabels={{ tableLabel: `Runtime variables of ${name}` }}
        header={
          <Header variant="h2" description={description}>
            {name}
          </Header>
        }
        empty={
          <Box textAlign="center" color="text-body-secondary">
            No runtime variables
          </Box>
        }
        footer={
          has.taskDefinition ? (
            <SpaceBetween direction="horizontal" size="xs" alignItems="center">
              <Box color="text-body-secondary">Task definition</Box>
              <span className="plain-text">
                <Copyable text={revisionOf(has.taskDefinition)} />
              </span>
            </SpaceBetween>
          ) : undefined
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
    </SpaceBetween>
  );
}

/** What's wrong, and what was restored. Not a component, so that SpaceBetween puts space between the alerts. */
function alertsOf({ name, has, story, restored }: Holder, running: boolean) {
  const conflicts = has.conflicts.map((conflict) => conflict.name);
  return (
    <>
      {has.problem && (
        <Alert type="warning" header={`${name} can't get its runtime variables`}>
          {fieldSentence(has.problem)}
        </Alert>
      )}
      {conflicts.length > 0 && (
        <Alert type="warning" header={`${name} didn't get its runtime variables`} action={<RebuildNow />}>
          The task definition already has {LIST.format(conflicts)}. stagedb doesn't overwrite variables that it didn't add.
          Remove {conflicts.length === 1 ? "this variable" : "these variables"} from the task definition, then rebuild the
          stage.
        </Alert>
      )}
      {/* During a rebuild, containers lack the variables until it's their turn. */}
      {has.missing.length > 0 && !running && (
        <Alert type="warning" header={`${name} lacks runtime variables`}>
          {story ?? `The container doesn't have ${LIST.format(has.missing)}.`}
        </Alert>
      )}
      {has.missing.length === 0 && story && <Alert type="info">{story}</Alert>}
      {restored && (
        <Box color="text-body-secondary" variant="small" display="block">
          Last restoration: {restored}
        </Box>
      )}
    </>
  );
}
