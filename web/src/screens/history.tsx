/** History: who changed the stage, when, what, and how it ended. Also attempts that a role didn't allow. */
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import FormField from "@cloudscape-design/components/form-field";
import Grid from "@cloudscape-design/components/grid";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import Select, { type SelectProps } from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import Table from "@cloudscape-design/components/table";
import { useMemo, useState } from "react";
import type { HistoryFilter, HistoryRecord } from "../api";
import { useHistory } from "../history";
import { changeInWords, KINDS, OPERATIONS, outcomeInWords, whatInWords, whoInWords } from "../logic/history";
import { date } from "../logic/words";
import { ProblemAlert } from "../parts/problem";
import { setQuery, useQuery } from "../router";
import { useStage } from "../stage-context";

function filterOf(query: string): HistoryFilter {
  const values = new URLSearchParams(query);
  const filter: HistoryFilter = {};
  for (const name of ["kind", "operation", "who"] as const) {
    const value = values.get(name)?.trim();
    if (value) filter[name] = value;
  }
  return filter;
}

export default function History() {
  const { name, version } = useStage();
  const query = useQuery();
  const filter = useMemo(() => filterOf(query), [query]);
  const { found, loading, error, more, again } = useHistory(name, filter, version);
  const isFiltered = Object.keys(filter).length > 0;
  return (
    <SpaceBetween size="l">
      {error && <ProblemAlert error={error} header="Couldn't load the history" again={again} />}
      <Table
        variant="container"
        wrapLines
        items={found}
        trackBy="id"
        loading={loading && found.length === 0}
        loadingText="Loading the history"
        ariaLabels={{ tableLabel: "History" }}
        header={
          <Header
            variant="h1"
            description="Who changed this stage, and who tried to. Records are kept in CloudWatch Logs. The retention of the log group decides for how long."
            actions={
              <Button iconName="refresh" ariaLabel="Refresh the history" loading={loading} onClick={again}>
                Refresh
              </Button>
            }
          >
            History
          </Header>
        }
        filter={<Filters filter={filter} />}
        empty={
          error ? undefined : (
            <Box textAlign="center" padding="m">
              <Box variant="strong">{isFiltered ? "No matches" : "No changes yet"}</Box>
              <Box variant="p" color="text-body-secondary" padding={{ bottom: isFiltered ? "s" : "n" }}>
                {more
                  ? "None of the latest records match. Choose Show more to search older ones."
                  : isFiltered
                    ? "No records match these filters."
                    : "Changes of this stage appear here as soon as somebody makes one."}
              </Box>
              {isFiltered && <Button onClick={() => setQuery({})}>Clear filters</Button>}
            </Box>
          )
        }
        footer={
          more && (
            <Box textAlign="center">
              <Button loading={loading} onClick={more}>
                Show more
              </Button>
            </Box>
          )
        }
        columnDefinitions={[
          { id: "time", header: "Time", cell: ({ at }) => date(at), minWidth: 130, width: 190 },
          { id: "who", header: "Who", cell: (record) => <Who record={record} />, minWidth: 150, width: 200 },
          { id: "what", header: "What", cell: (record) => <What record={record} />, isRowHeader: true, minWidth: 150, width: 190 },
          { id: "changes", header: "Changes", cell: (record) => <Changes record={record} />, minWidth: 200 },
          { id: "outcome", header: "Outcome", cell: (record) => <Outcome record={record} />, minWidth: 180, width: 260 },
        ]}
      />
    </SpaceBetween>
  );
}

function Who({ record }: { record: HistoryRecord }) {
  return (
    <>
      <span className="plain-text">{whoInWords(record) ?? "–"}</span>
      {record.who?.address && (
        <Box variant="small" display="block">
          <span className="plain-text">{record.who.address}</span>
        </Box>
      )}
    </>
  );
}

function What({ record }: { record: HistoryRecord }) {
  return (
    <>
      {whatInWords(record)}
      {record.kind === "outside" && record.detail && (
        <Box variant="small" display="block">
          <span className="plain-text">{record.detail}</span>
        </Box>
      )}
    </>
  );
}

function Changes({ record }: { record: HistoryRecord }) {
  if (record.changes.length === 0) return "–";
  return record.changes.map((change, index) => {
    const { label, text } = changeInWords(change);
    return (
      <div key={index} className="plain-text">
        {label}: {text}
      </div>
    );
  });
}

function Outcome({ record }: { record: HistoryRecord }) {
  const outcome = outcomeInWords(record);
  const reason = record.reason ?? (record.kind === "denied" ? record.detail : undefined);
  if (!outcome) return "–";
  return (
    <>
      <StatusIndicator type={outcome.type}>{outcome.text}</StatusIndicator>
      {reason && (
        <Box variant="small" display="block">
          <span className="plain-text">{reason}</span>
        </Box>
      )}
    </>
  );
}

const ANY_KIND: SelectProps.Option = { value: "", label: "All records" };
const ANY_OPERATION: SelectProps.Option = { value: "", label: "All operations" };

/** What a select shows for a value from the URL, which can be any text. */
function optionOf(options: SelectProps.Option[], value: string | undefined): SelectProps.Option | null {
  return options.find((option) => option.value === (value ?? "")) ?? (value === undefined ? null : { value, label: value });
}

/** The API applies the filters, and they're kept in the URL. */
function Filters({ filter }: { filter: HistoryFilter }) {
  const kinds = [ANY_KIND, ...KINDS.map(({ kind, text }) => ({ value: kind, label: text }))];
  const operations = [ANY_OPERATION, ...OPERATIONS.map(({ operation, text }) => ({ value: operation, label: text }))];
  const change = (part: Partial<Record<keyof HistoryFilter, string | undefined>>) => setQuery({ ...filter, ...part });
  return (
    <Grid gridDefinition={[{ colspan: { default: 12, s: 4 } }, { colspan: { default: 12, s: 4 } }, { colspan: { default: 12, s: 4 } }]}>
      <FormField label="Records">
        <Select
          selectedOption={optionOf(kinds, filter.kind)}
          options={kinds}
          onChange={({ detail }) => change({ kind: detail.selectedOption.value })}
        />
      </FormField>
      <FormField label="Operation">
        <Select
          selectedOption={optionOf(operations, filter.operation)}
          options={operations}
          onChange={({ detail }) => change({ operation: detail.selectedOption.value })}
        />
      </FormField>
      <WhoFilter who={filter.who ?? ""} change={(who) => change({ who })} />
    </Grid>
  );
}

/** The API compares the whole email address, so it's asked after the user has typed all of it. */
function WhoFilter({ who, change }: { who: string; change: (who: string) => void }) {
  const [draft, setDraft] = useState({ of: who, typed: who });
  const typed = draft.of === who ? draft.typed : who;
  const apply = () => {
    if (typed.trim() !== who) change(typed.trim());
  };
  return (
    <FormField label="Email address or user ID">
      <Input
        type="search"
        value={typed}
        placeholder="Press Enter to apply"
        clearAriaLabel="Clear"
        spellcheck={false}
        autoComplete={false}
        onChange={({ detail }) => {
          setDraft({ of: who, typed: detail.value });
          if (detail.value === "" && who !== "") change("");
        }}
        onBlur={apply}
        onKeyDown={({ detail }) => {
          if (detail.key === "Enter") apply();
        }}
      />
    </FormField>
  );
}
