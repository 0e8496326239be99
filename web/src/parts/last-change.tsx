/** Who last changed the database, when, and what. Nothing is shown if the history can't be read. */
import Box from "@cloudscape-design/components/box";
import Link from "@cloudscape-design/components/link";
import { useCallback } from "react";
import { usePage } from "../api";
import { isOfDatabase, lineOf, whoInWords } from "../logic/history";
import { date } from "../logic/words";
import { useResource } from "../resource";
import { follow, pathOf } from "../router";
import { useStage } from "../stage-context";

/** How many changes to read if the last one isn't about the database. */
const MORE = "25";

export function LastChange() {
  const { api } = usePage();
  const { name, version } = useStage();
  const read = useCallback(
    async (signal: AbortSignal) => {
      for (const limit of ["1", MORE]) {
        const { records, nextToken } = await api.history(name, { kind: "change", limit }, signal);
        const found = records.find((record) => isOfDatabase(record) && record.outcome !== "not-started");
        if (found || !nextToken) return found;
      }
      return undefined;
    },
    // eslint-disable-next-line react-hooks/exhaustive-deps -- a rebuild that starts or finishes is a change
    [api, name, version],
  );
  const { value: record } = useResource(read);
  if (!record) return null;
  return (
    <Box color="text-body-secondary">
      <span className="plain-text">
        Last changed by {whoInWords(record) ?? "an unknown user"} on {date(record.at)}: {lineOf(record)}.
      </span>{" "}
      <Link href={pathOf({ ...name, screen: "history" })} onFollow={follow}>
        View history
      </Link>
    </Box>
  );
}
