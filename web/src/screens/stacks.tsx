/** Stacks: one card for each, its stages with their state, and the gear. */
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
import { sourceInWords, stageStatus } from "../logic/words";
import { ProblemAlert } from "../parts/problem";
import { follow, pathOf } from "../router";
import { useStacks } from "../stacks";

/** From how many stacks on a filter helps. */
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
          description="Choose the gear of a stack to see and change the settings of its stages."
          counter={stacks ? `(${String(stacks.length)})` : undefined}
        >
          Stacks
        </Header>
      }
    >
      <SpaceBetween size="l">
        {missing && (
          <Alert type="warning" header="There is no such page">
            {missing} leads nowhere. Here are the stacks.
          </Alert>
        )}
        {error && !stacks && <ProblemAlert error={error} header="The stacks cannot be shown" again={again} />}
        {!(error && !stacks) && (
          <Cards
            items={found ?? []}
            loading={!stacks}
            loadingText="Loading the stacks"
            trackBy="name"
            cardsPerRow={[{ cards: 1 }, { minWidth: 620, cards: 2 }]}
            ariaLabels={{ itemSelectionLabel: (_, stack) => stack.name, selectionGroupLabel: "Stacks" }}
            filter={
              (stacks?.length ?? 0) >= MANY ? (
                <TextFilter
                  filteringText={filter}
                  filteringPlaceholder="Find a stack"
                  filteringAriaLabel="Find a stack"
                  countText={`${String(found?.length ?? 0)} found`}
                  onChange={({ detail }) => setFilter(detail.filteringText)}
                />
              ) : undefined
            }
            empty={
              <Box textAlign="center" padding="l">
                <Box variant="strong">{stacks?.length ? "No stack has such a name" : "No stack is registered yet"}</Box>
                <Box variant="p" color="text-body-secondary">
                  {stacks?.length
                    ? "Try a shorter text."
                    : "A stage is registered once through the API, with the ECS service that it runs as."}
                </Box>
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
                        ariaLabel={`Settings of ${stack.name}`}
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
                ariaLabel={`Database of ${stack.name} ${stage.name}`}
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
