/** Stacks: a card for each one, with the status of its stages and a link to its settings. */
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Cards from "@cloudscape-design/components/cards";
import ContentLayout from "@cloudscape-design/components/content-layout";
import Header from "@cloudscape-design/components/header";
import Link from "@cloudscape-design/components/link";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import TextFilter from "@cloudscape-design/components/text-filter";
import { useState } from "react";
import type { Stack } from "../api";
import { lockOf, registersSomewhere } from "../logic/access";
import { matches, sourceInWords, stageStatus } from "../logic/words";
import { useMe } from "../me";
import { ProblemAlert } from "../parts/problem";
import { follow, pathOf } from "../router";
import { useStacks } from "../stacks";

/** The filter is shown for this many stacks or more. */
const MANY = 7;

export function StacksScreen({ missing }: { missing?: string }) {
  const { value: stacks, error, again } = useStacks();
  const [filter, setFilter] = useState("");
  const found = stacks?.filter((stack) => stack.name.includes(filter.trim().toLowerCase()));
  return (
    <ContentLayout
      header={
        <Header
          variant="h1"
          description="Choose the settings icon of a stack to view and change its stages."
          counter={stacks ? `(${String(stacks.length)})` : undefined}
          actions={<Register />}
        >
          Stacks
        </Header>
      }
    >
      <SpaceBetween size="l">
        {missing && (
          <Alert type="warning" header="Page not found">
            There's no page at {missing}. Choose a stack to continue.
          </Alert>
        )}
        {error && !stacks && <ProblemAlert error={error} header="Couldn't load the stacks" again={again} />}
        {!(error && !stacks) && (
          <Cards
            items={found ?? []}
            loading={!stacks}
            loadingText="Loading stacks"
            trackBy="name"
            cardsPerRow={[{ cards: 1 }, { minWidth: 620, cards: 2 }]}
            ariaLabels={{ itemSelectionLabel: (_, stack) => stack.name, selectionGroupLabel: "Stacks" }}
            filter={
              (stacks?.length ?? 0) >= MANY ? (
                <TextFilter
                  filteringText={filter}
                  filteringPlaceholder="Find a stack"
                  filteringAriaLabel="Find a stack"
                  countText={matches(found?.length ?? 0)}
                  onChange={({ detail }) => setFilter(detail.filteringText)}
                />
              ) : undefined
            }
            empty={
              <Box textAlign="center" padding="l">
                <Box variant="strong">{stacks?.length ? "No matches" : "No stacks"}</Box>
                <Box variant="p" color="text-body-secondary" padding={{ bottom: "s" }}>
                  {stacks?.length
                    ? "No stacks match your search. Try a different search."
                    : "To get started, register a stage with its ECS services. Then add a database to it."}
                </Box>
                {stacks?.length === 0 && <Register primary={false} />}
              </Box>
            }
            cardDefinition={{
              header: (stack) => (
                <Link href={pathOf({ screen: "stack", stack: stack.name })} onFollow={follow} fontSize="heading-m">
                  {stack.name}
                </Link>
              ),
              sections: [
                { id: "stages", header: "Stages", content: (stack) => <Stages stack={stack} /> },
                {
                  id: "settings",
                  content: (stack) => (
                    <Box float="right">
                      <Button
                        variant="icon"
                        iconName="settings"
                        ariaLabel={`Settings for ${stack.name}`}
                        href={pathOf({ screen: "stack", stack: stack.name })}
                        onFollow={follow}
                      />
                    </Box>
                  ),
                },
              ],
            }}
          />
        )}
      </SpaceBetween>
    </ContentLayout>
  );
}

function Register({ primary = true }: { primary?: boolean }) {
  const me = useMe();
  const lock = lockOf(registersSomewhere(me.value, me.error !== undefined));
  return (
    <Button {...lock} variant={primary ? "primary" : "normal"} href={pathOf({ screen: "register" })} onFollow={follow}>
      Register a stage
    </Button>
  );
}

function Stages({ stack }: { stack: Stack }) {
  return (
    <SpaceBetween size="xs">
      {stack.stages.map((stage) => {
        const status = stageStatus(stage.state);
        return (
          <div key={stage.name}>
            <SpaceBetween size="s" direction="horizontal" alignItems="center">
              <Link
                href={pathOf({ screen: "database", stack: stack.name, stage: stage.name })}
                onFollow={follow}
                ariaLabel={`Database for ${stack.name} ${stage.name}`}
              >
                {stage.name}
              </Link>
              <StatusIndicator type={status.type}>{status.text}</StatusIndicator>
              <Box color="text-body-secondary">{sourceInWords(stage.source)}</Box>
            </SpaceBetween>
          </div>
        );
      })}
    </SpaceBetween>
  );
}
