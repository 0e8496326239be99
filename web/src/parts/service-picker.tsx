/** The table of ECS services from which the user selects those of a stage. */
import Box from "@cloudscape-design/components/box";
import Header from "@cloudscape-design/components/header";
import Pagination from "@cloudscape-design/components/pagination";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import Table from "@cloudscape-design/components/table";
import TextFilter from "@cloudscape-design/components/text-filter";
import { useState } from "react";
import type { FoundService } from "../api";
import { type Choice, chosenAfter, isMatch, isSelectable, keyOf } from "../logic/registration";
import { matches } from "../logic/words";
import type { Services } from "../services";
import { ProblemAlert } from "./problem";

const PER_PAGE = 10;

interface Props {
  services: Services;
  chosen: Choice[];
  change: (chosen: Choice[]) => void;
  /** The stage that's being edited, as `stack/stage`. Its services can be selected. */
  own?: string;
}

export function ServicePicker({ services, chosen, change, own }: Props) {
  const [filter, setFilter] = useState("");
  const [page, setPage] = useState(1);
  const { found, loading, error, again } = services;
  const isChosen = (each: FoundService) => chosen.some((choice) => keyOf(choice) === keyOf(each));
  const matching = found.filter((each) => isMatch(each, filter));
  const pages = Math.max(1, Math.ceil(matching.length / PER_PAGE));
  const current = Math.min(page, pages);
  return (
    <SpaceBetween size="m">
      {error && <ProblemAlert error={error} header="Couldn't load all services" again={again} />}
      <Table
        variant="container"
        selectionType="multi"
        trackBy={keyOf}
        items={matching.slice((current - 1) * PER_PAGE, current * PER_PAGE)}
        loading={loading && found.length === 0}
        loadingText="Loading services"
        selectedItems={found.filter(isChosen)}
        isItemDisabled={(each) => !isSelectable(each, own) && !isChosen(each)}
        onSelectionChange={({ detail }) => change(chosenAfter(chosen, detail.selectedItems, found))}
        wrapLines
        ariaLabels={{
          tableLabel: "ECS services in this account",
          selectionGroupLabel: "Select services",
          allItemsSelectionLabel: () => "All services on this page",
          itemSelectionLabel: (_, each) => `${each.name} in the cluster ${each.cluster}`,
        }}
        header={
          <Header
            variant="h2"
            counter={found.length > 0 ? `(${String(found.length)}${loading ? "+" : ""})` : undefined}
            description={
              loading && found.length > 0 ? (
                <StatusIndicator type="loading">Loading more services</StatusIndicator>
              ) : (
                "ECS services in this account and Region. All services of a stage must be in the same VPC."
              )
            }
          >
            Services
          </Header>
        }
        filter={
          <TextFilter
            filteringText={filter}
            filteringPlaceholder="Find a service"
            filteringAriaLabel="Find a service"
            countText={matches(matching.length)}
            onChange={({ detail }) => {
              setFilter(detail.filteringText);
              setPage(1);
            }}
          />
        }
        pagination={
          pages > 1 ? (
            <Pagination
              currentPageIndex={current}
              pagesCount={pages}
              onChange={({ detail }) => setPage(detail.currentPageIndex)}
              ariaLabels={{
                paginationLabel: "Pages of services",
                nextPageLabel: "Next page",
                previousPageLabel: "Previous page",
                pageLabel: (number) => `Page ${String(number)}`,
              }}
            />
          ) : undefined
        }
        empty={
          <Box textAlign="center" padding="m">
            <Box variant="strong">{found.length > 0 ? "No matches" : "No services"}</Box>
            <Box variant="p" color="text-body-secondary">
              {found.length > 0
                ? "No services match your search. Try a different search."
                : "This account has no ECS services in this Region. Create a service in Amazon ECS first."}
            </Box>
          </Box>
        }
        columnDefinitions={[
          { id: "name", header: "Service", cell: (each) => each.name, isRowHeader: true, minWidth: 150 },
          { id: "cluster", header: "Cluster", cell: (each) => each.cluster, minWidth: 110 },
          { id: "containers", header: "Containers", cell: (each) => each.containers.join(", "), minWidth: 130 },
          {
            id: "network",
            header: "Network",
            minWidth: 210,
            cell: (each) => (
              <>
                <div>{each.vpcId ?? "–"}</div>
                <Box variant="small">{each.availabilityZones.join(", ")}</Box>
              </>
            ),
          },
          { id: "use", header: "Can be registered", minWidth: 180, cell: (each) => canBeRegistered(each, own) },
        ]}
      />
    </SpaceBetween>
  );
}

function canBeRegistered(found: FoundService, own: string | undefined): string {
  if (found.registrable) return "Yes";
  if (own !== undefined && found.stage === own) return "Yes. It belongs to this stage.";
  return `No. ${found.whyNot ?? "This service isn't supported."}`;
}
