/** Turns the records of a stage's history into text for the user. */
import type { HistoryRecord, Schemas } from "../api";
import { fieldInWords, PROOF_LABEL, sentence, stageStatus, type Status, sourceInWords, valueInWords } from "./words";

type Change = Schemas["HistoryChange"];

/** What each operation did, and what a denied attempt tried to do. */
const CHANGES: Record<string, { did: string; tried: string }> = {
  putStage: { did: "Saved the services and jobs", tried: "register the stage or save its services and jobs" },
  deleteStage: { did: "Deregistered the stage", tried: "deregister the stage" },
  putDatabase: { did: "Saved the database settings", tried: "save the database settings" },
  deleteDatabase: { did: "Removed the database", tried: "remove the database" },
  previewDatabase: { did: "Previewed database settings", tried: "preview database settings" },
  rotateLogin: { did: "Rotated the app login", tried: "rotate the app login" },
  testConnection: { did: "Tested a connection", tried: "test a connection" },
  postRebuild: { did: "Rebuilt the stage", tried: "rebuild the stage" },
  postRuntimeVariables: { did: "Restored the runtime variables", tried: "restore the runtime variables" },
  putProtection: { did: "Changed the protection", tried: "change the protection" },
};

/** What users without a role tried to view. */
const VIEWS: Record<string, string> = {
  getStage: "view the stage",
  getDatabase: "view the database",
  getConnectionTest: "view a connection test",
  getMetrics: "view the database's usage",
  getSnapshots: "view the snapshots",
  getRebuild: "view the rebuild",
  getRuntimeVariables: "view the runtime variables",
  getSnippets: "view the snippets",
  getHistory: "view the history",
};

/** The operations to filter by, with their words. */
export const OPERATIONS = Object.entries(CHANGES).map(([operation, { tried }]) => ({ operation, text: capitalized(tried) }));

export const KINDS = [
  { kind: "change", text: "Changes" },
  { kind: "denied", text: "Denied attempts" },
  { kind: "outside", text: "Changes outside of stagedb" },
] as const;

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

type What = Pick<HistoryRecord, "kind" | "operation" | "changes">;

/** What a record is about. */
export function whatInWords({ kind, operation, changes }: What): string {
  if (kind === "outside") return "Changed outside of stagedb";
  const name = operation ?? "";
  if (kind === "denied") return `Tried to ${CHANGES[name]?.tried ?? VIEWS[name] ?? `do ${name}`}`;
  const changed = (setting: string) => changes.find((change) => change.setting === setting);
  if (name === "putProtection") {
    const after = changed("protected")?.after;
    if (after === "true") return "Protected the stage";
    if (after === "false") return "Ended the protection";
  }
  // The switch has a value from the registration on.
  const restores = changed("restoreVariables");
  if (name === "putStage" && restores && restores.before == null) return "Registered the stage";
  if (name === "deleteDatabase" && changed("source")?.before === "attached") return "Detached the database";
  return CHANGES[name]?.did ?? name;
}

/** The email address of a record's user, or the subject. */
export function whoInWords({ who }: Pick<HistoryRecord, "who">): string | undefined {
  return who ? (who.email ?? who.subject) : undefined;
}

/** The labels of what a list in the body can have. */
const ITEMS: Record<string, string> = { services: "Service", jobs: "Job" };

const LABELS: Record<string, string> = {
  restoreVariables: "Restore variables",
  connectionProof: PROOF_LABEL,
  protected: "Protected",
  login: "Login",
};

function settingValue(setting: string, value: string | null | undefined): string {
  if (value == null) return "–";
  if (setting === "source") return sourceInWords(value);
  if (setting === "connectionProof") return sentence(value);
  if (setting === "apply") return value === "now" ? "Immediately" : sentence(value);
  return valueInWords(value);
}

/** A change, as a label and what became of it. */
export function changeInWords({ setting, before, after }: Change): { label: string; text: string } {
  const item = ITEMS[setting];
  if (item !== undefined && before == null && after != null) return { label: `${item} added`, text: after };
  if (item !== undefined && after == null && before != null) return { label: `${item} removed`, text: before };
  const label = item ?? LABELS[setting] ?? fieldInWords(setting);
  const now = settingValue(setting, after);
  return { label, text: before == null ? now : `${settingValue(setting, before)} → ${now}` };
}

/** How a record ended. A change outside of stagedb has no outcome. */
export function outcomeInWords({ kind, outcome }: Pick<HistoryRecord, "kind" | "outcome">): Status | undefined {
  if (kind === "denied") return { type: "error", text: "Denied" };
  switch (outcome) {
    case null:
    case undefined:
      return undefined;
    case "running":
      return { type: "in-progress", text: "In progress" };
    case "not-started":
      return { type: "stopped", text: "Not started" };
    default:
      return stageStatus(outcome);
  }
}

/** Whether a record changed the database. */
export const isOfDatabase = ({ operation }: Pick<HistoryRecord, "operation">) =>
  operation === "putDatabase" || operation === "deleteDatabase" || operation === "rotateLogin";

/** How many changes a single line shows. */
const LINE = 3;

/** The changes in one line: “Instance class db.t4g.micro → db.t4g.small, Standby No → Yes”. */
export function lineOf(record: HistoryRecord): string {
  const words = record.changes.map(changeInWords).map(({ label, text }) => `${label} ${text}`);
  const shown = words.slice(0, LINE).join(", ");
  const what = shown === "" ? whatInWords(record) : shown;
  const more = words.length > LINE ? `, and ${String(words.length - LINE)} more` : "";
  const outcome = record.outcome === "complete" ? undefined : outcomeInWords(record);
  return what + more + (outcome ? ` (${outcome.text.toLowerCase()})` : "");
}
