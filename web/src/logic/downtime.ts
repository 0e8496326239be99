/** How long connections failed while a change interrupted the database, as a client measured it. */
import type { Rebuild, Schemas } from "../api";
import { day, duration } from "./words";

type Downtime = Schemas["Downtime"];

const lasted = ({ seconds }: Downtime) => duration(seconds * 1000);

/** What a rebuild says at its database step, as soon as the step is complete. */
export function downtimeOf(
  { downtime }: Pick<Rebuild, "downtime">,
  { name, status }: Pick<Schemas["RebuildStep"], "name" | "status">,
): string | undefined {
  if (!downtime || name !== "database" || status !== "complete") return undefined;
  if (downtime.seconds === 0) return "No connection failed.";
  return `Connections failed for ${lasted(downtime)}, from ${new Date(downtime.from).toISOString().slice(11, 19)} UTC.`;
}

/** What the same change did to connections the last time. */
export function lastDowntimeInWords({ lastDowntime, effect }: Pick<Schemas["Change"], "lastDowntime" | "effect">): string | undefined {
  if (!lastDowntime || effect !== "interruption") return undefined;
  const on = day(lastDowntime.from);
  return lastDowntime.seconds === 0
    ? `Last time, no connection failed (${on}).`
    : `Last time: connections failed for ${lasted(lastDowntime)} (${on}).`;
}
