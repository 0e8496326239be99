/** Turns values from the API into text for the user. */
import type { StatusIndicatorProps } from "@cloudscape-design/components/status-indicator";
import type { InstanceClass, Rebuild, Schemas } from "../api";
import { settingLabel } from "./settings";

export interface Status {
  type: StatusIndicatorProps.Type;
  text: string;
}

/** The status of a stage, from its state in the list of stacks. */
export function stageStatus(state: string): Status {
  switch (state) {
    case "updating":
      return { type: "in-progress", text: "Rebuilding" };
    case "complete":
      return { type: "success", text: "Complete" };
    case "rolled-back":
      return { type: "warning", text: "Rolled back" };
    case "failed":
      return { type: "error", text: "Failed" };
    default:
      return { type: "info", text: sentence(state) };
  }
}

const USABLE = new Set(["available", "storage-optimization", "storage-full"]);
const BROKEN = /^(failed|incompatible-|inaccessible-|restore-error|insufficient-|missing|storage-full)/;
const RESTING = new Set(["stopped", "none"]);

/** The status of a database: one of RDS's or one of stagedb's own. */
export function databaseStatus(state: string): Status {
  const text = sentence(state);
  if (BROKEN.test(state)) return { type: "error", text };
  if (USABLE.has(state)) return { type: "success", text };
  if (RESTING.has(state)) return { type: "stopped", text };
  return { type: "in-progress", text };
}

/** Turns `storage-optimization` into “Storage optimization”. */
export function sentence(word: string): string {
  const spaced = word.replaceAll("-", " ");
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
}

export function sourceInWords(source: string): string {
  switch (source) {
    case "created":
      return "Managed database";
    case "attached":
      return "Attached database";
    default:
      return "No database";
  }
}

const STEPS: Record<string, { title: string; running: string }> = {
  credentials: { title: "Credentials", running: "Saving the credentials in Secrets Manager" },
  database: { title: "Database", running: "RDS is working on the database. This step takes the longest." },
  access: { title: "Network access", running: "Allowing the stage's services and jobs to connect" },
  login: { title: "App login", running: "Giving the login its password" },
  proof: { title: "Connection test", running: "Connecting to the database from everywhere the stage's services and jobs run" },
  connection: { title: "Connection details", running: "Saving the host and port in Secrets Manager" },
  containers: { title: "Containers", running: "Starting containers with the new variables, then stopping the old ones" },
};

/** The title of a step. The containers of each service are a step of their own. */
export function stepTitle({ name, service }: Pick<Schemas["RebuildStep"], "name" | "service">): string {
  const title = STEPS[name]?.title ?? sentence(name);
  return service ? `${title} of ${service.replace(/^.*\//, "")}` : title;
}

export function stepHint(name: string): string {
  return STEPS[name]?.running ?? "";
}

/** The label of whether rebuilds prove connections. */
export const PROOF_LABEL = "Connection test in rebuilds";

/** What it means for rebuilds that the test is required or skipped. */
export function proofHint(proof: "required" | "skipped"): string {
  return proof === "required"
    ? "A rebuild connects to the database from everywhere your services and jobs run before it publishes anything."
    : "Rebuilds publish without connecting first. Choose this only if no client task can run in your services' network.";
}

/** The labels of a save's fields that aren't settings. */
const FIELDS: Record<string, string> = {
  source: "Source",
  identifier: "DB identifier",
  kind: "Type",
  credentials: "Credentials",
  confirm: "Confirmation",
};

export function fieldInWords(field: string): string {
  const name = field.replace(/^\//, "");
  return settingLabel(name) ?? FIELDS[name] ?? name;
}

/** The value of a setting. A boolean becomes `Yes` or `No`. */
export function valueInWords(value: unknown): string {
  if (value === true || value === "true") return "Yes";
  if (value === false || value === "false") return "No";
  if (value == null || value === "none") return "–";
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** How a change affects the running database. */
export function effectInWords(change: Schemas["Change"]): Status {
  if (change.effect === "interruption") {
    return change.when === "maintenance-window"
      ? { type: "pending", text: "Interrupts the database in the maintenance window" }
      : { type: "warning", text: "Interrupts the database" };
  }
  return change.effect === "new" ? { type: "info", text: "New" } : { type: "success", text: "No interruption" };
}

export function isRunning(rebuild: Rebuild | undefined): boolean {
  return rebuild?.phase === "updating" || rebuild?.phase === "redeploying";
}

/** The progress of a rebuild in percent. A running step counts as half. */
export function progress(rebuild: Rebuild): number {
  if (rebuild.phase === "complete") return 100;
  const done = rebuild.steps.reduce(
    (sum, step) => sum + (step.status === "complete" ? 1 : step.status === "running" ? 0.5 : 0),
    0,
  );
  return rebuild.steps.length === 0 ? 0 : Math.round((100 * done) / rebuild.steps.length);
}

/** Turns `95000` milliseconds into “1 min 35 s”. */
export function duration(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 60) return `${String(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${String(minutes)} min ${String(seconds % 60)} s`;
  return `${String(Math.floor(minutes / 60))} h ${String(minutes % 60)} min`;
}

/** The vCPUs and memory of an instance class: “2 vCPUs, 1 GiB memory”. */
export function capacity(found: InstanceClass): string {
  const parts: string[] = [];
  if (found.vcpus) parts.push(`${String(found.vcpus)} ${found.vcpus === 1 ? "vCPU" : "vCPUs"}`);
  if (found.memoryMiB) parts.push(`${gibibytes(found.memoryMiB)} GiB memory`);
  return parts.join(", ");
}

function gibibytes(mebibytes: number): string {
  return String(Math.round((mebibytes / 1024) * 10) / 10);
}

/** A time in the user's time zone: “Nov 26, 2026, 3:04 PM UTC”. */
export function date(text: string): string {
  return new Date(text).toLocaleString("en-US", {
    year: "numeric",
    month: "short",
    day: "numeric",
    hour: "numeric",
    minute: "2-digit",
    timeZoneName: "short",
  });
}

/** A day in the user's time zone: “Nov 26, 2026”. */
export function day(text: string): string {
  return new Date(text).toLocaleDateString("en-US", { year: "numeric", month: "short", day: "numeric" });
}

/** The short name of the user's time zone, such as “UTC” or “PST”. */
export function timeZone(): string {
  const parts = new Intl.DateTimeFormat("en-US", { timeZoneName: "short" }).formatToParts();
  return parts.find((part) => part.type === "timeZoneName")?.value ?? "UTC";
}

/** How many items match a filter: “1 match”, “2 matches”. */
export function matches(count: number): string {
  return `${String(count)} ${count === 1 ? "match" : "matches"}`;
}

/** A whole number with thousands separators: “65,536”. */
export function grouped(value: number): string {
  return value.toLocaleString("en-US");
}
