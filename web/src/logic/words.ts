/** The API's words in words for a person. */
import type { StatusIndicatorProps } from "@cloudscape-design/components/status-indicator";
import type { InstanceClass, Rebuild, Schemas } from "../api";

export interface Status {
  type: StatusIndicatorProps.Type;
  text: string;
}

/** A stage's state, as the list of stacks has it. */
export function stageStatus(state: string): Status {
  switch (state) {
    case "updating":
      return { type: "in-progress", text: "Rebuilding" };
    case "complete":
      return { type: "success", text: "Complete" };
    case "rolled-back":
      return { type: "warning", text: "Last change undone" };
    case "failed":
      return { type: "error", text: "Failed" };
    default:
      return { type: "info", text: sentence(state) };
  }
}

const USABLE = new Set(["available", "storage-optimization", "storage-full"]);
const BROKEN = /^(failed|incompatible-|inaccessible-|restore-error|insufficient-|missing|storage-full)/;
const RESTING = new Set(["stopped", "none"]);

/** A database's status: RDS's word, or one of ours. */
export function databaseStatus(state: string): Status {
  const text = sentence(state);
  if (BROKEN.test(state)) return { type: "error", text };
  if (USABLE.has(state)) return { type: "success", text };
  if (RESTING.has(state)) return { type: "stopped", text };
  return { type: "in-progress", text };
}

/** `storage-optimization` as “Storage optimization”. */
export function sentence(word: string): string {
  const spaced = word.replaceAll("-", " ");
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
}

export function sourceInWords(source: string): string {
  switch (source) {
    case "created":
      return "Own Postgres";
    case "attached":
      return "Attached database";
    default:
      return "No database";
  }
}

const STEPS: Record<string, { title: string; running: string }> = {
  credentials: { title: "Credentials", running: "Writing the credentials into Secrets Manager" },
  database: { title: "Database", running: "RDS is working on the database; this is the long part" },
  access: { title: "Access", running: "Letting the stage's service connect" },
  connection: { title: "Connection details", running: "Writing host and port into Secrets Manager" },
  containers: { title: "Containers", running: "Starting containers with the variables, then stopping the old ones" },
};

export function stepTitle(name: string): string {
  return STEPS[name]?.title ?? sentence(name);
}

export function stepHint(name: string): string {
  return STEPS[name]?.running ?? "";
}

const FIELDS: Record<string, string> = {
  source: "Source",
  instanceClass: "Instance type",
  storageGiB: "Storage (GiB)",
  maxStorageGiB: "Storage limit (GiB)",
  multiAz: "Standby",
  backupRetentionDays: "Backups (days)",
  engineVersion: "PostgreSQL version",
  databaseName: "Database name",
  apply: "Interrupting changes",
  fromSnapshot: "Snapshot",
  identifier: "Database",
  kind: "Kind",
  credentials: "Credentials",
  confirm: "Confirmation",
};

export function fieldInWords(field: string): string {
  return FIELDS[field.replace(/^\//, "")] ?? field;
}

/** What a change does to the running database. */
export function effectInWords(change: Schemas["Change"]): Status {
  if (change.effect === "interruption") {
    return change.when === "maintenance-window"
      ? { type: "pending", text: "Interrupts, in the maintenance window" }
      : { type: "warning", text: "Interrupts the database" };
  }
  return change.effect === "new" ? { type: "info", text: "New" } : { type: "success", text: "Without interruption" };
}

export function isRunning(rebuild: Rebuild | undefined): boolean {
  return rebuild?.phase === "updating" || rebuild?.phase === "redeploying";
}

/** How far a rebuild is, in percent; a running step counts half. */
export function progress(rebuild: Rebuild): number {
  if (rebuild.phase === "complete") return 100;
  const done = rebuild.steps.reduce(
    (sum, step) => sum + (step.status === "complete" ? 1 : step.status === "running" ? 0.5 : 0),
    0,
  );
  return rebuild.steps.length === 0 ? 0 : Math.round((100 * done) / rebuild.steps.length);
}

/** `95000` milliseconds as “1 min 35 s”. */
export function duration(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 60) return `${String(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${String(minutes)} min ${String(seconds % 60)} s`;
  return `${String(Math.floor(minutes / 60))} h ${String(minutes % 60)} min`;
}

/** A class with what it has: “2 vCPU, 1 GiB memory”. */
export function capacity(found: InstanceClass): string {
  const parts: string[] = [];
  if (found.vcpus) parts.push(`${String(found.vcpus)} vCPU`);
  if (found.memoryMiB) parts.push(`${gibibytes(found.memoryMiB)} GiB memory`);
  return parts.join(", ");
}

function gibibytes(mebibytes: number): string {
  return String(Math.round((mebibytes / 1024) * 10) / 10);
}

export function date(text: string): string {
  return new Date(text).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
}
