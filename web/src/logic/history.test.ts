import { expect, it } from "vitest";
import type { HistoryRecord } from "../api";
import { changeInWords, isOfDatabase, lineOf, outcomeInWords, OPERATIONS, whatInWords, whoInWords } from "./history";

const record = (part: Partial<HistoryRecord>): HistoryRecord => ({
  id: "1",
  at: "2026-11-28T12:00:00Z",
  kind: "change",
  operation: "putDatabase",
  changes: [],
  outcome: "complete",
  ...part,
});

it("each operation has words for a change and for a denied attempt", () => {
  for (const [part, words] of [
    [{}, "Saved the database settings"],
    [{ operation: "putStage" }, "Saved the services and jobs"],
    [{ operation: "putStage", changes: [{ setting: "restoreVariables", after: "true" }] }, "Registered the stage"],
    [{ operation: "putStage", changes: [{ setting: "restoreVariables", before: "true", after: "false" }] }, "Saved the services and jobs"],
    [{ operation: "deleteStage" }, "Deregistered the stage"],
    [{ operation: "deleteDatabase", changes: [{ setting: "source", before: "created", after: "none" }] }, "Removed the database"],
    [{ operation: "deleteDatabase", changes: [{ setting: "source", before: "attached", after: "none" }] }, "Detached the database"],
    [{ operation: "rotateLogin" }, "Rotated the app login"],
    [{ operation: "testConnection" }, "Tested a connection"],
    [{ operation: "postRebuild" }, "Rebuilt the stage"],
    [{ operation: "postRuntimeVariables" }, "Restored the runtime variables"],
    [{ operation: "putProtection", changes: [{ setting: "protected", before: "false", after: "true" }] }, "Protected the stage"],
    [{ operation: "putProtection", changes: [{ setting: "protected", before: "true", after: "false" }] }, "Ended the protection"],
    [{ operation: "unheardOf" }, "unheardOf"],
    [{ kind: "denied" }, "Tried to save the database settings"],
    [{ kind: "denied", operation: "previewDatabase" }, "Tried to preview database settings"],
    [{ kind: "denied", operation: "rotateLogin" }, "Tried to rotate the app login"],
    [{ kind: "denied", operation: "testConnection" }, "Tried to test a connection"],
    [{ kind: "denied", operation: "getConnectionTest" }, "Tried to view a connection test"],
    [{ kind: "denied", operation: "getHistory" }, "Tried to view the history"],
    [{ kind: "denied", operation: "unheardOf" }, "Tried to do unheardOf"],
    [{ kind: "outside", operation: null }, "Changed outside of stagedb"],
  ] as [Partial<HistoryRecord>, string][]) {
    expect(whatInWords(record(part))).toBe(words);
  }
  expect(OPERATIONS).toContainEqual({ operation: "postRebuild", text: "Rebuild the stage" });
  expect(OPERATIONS).toContainEqual({ operation: "rotateLogin", text: "Rotate the app login" });
  expect(OPERATIONS).toContainEqual({ operation: "testConnection", text: "Test a connection" });
});

it("a change has the setting's label, and its values in words", () => {
  for (const [setting, before, after, words] of [
    ["instanceClass", "db.t4g.micro", "db.t4g.small", "Instance class: db.t4g.micro → db.t4g.small"],
    ["multiAz", "false", "true", "Multi-AZ standby: No → Yes"],
    ["appLogin", "false", "true", "App login: No → Yes"],
    ["rotationDays", "0", "30", "Password rotation (days): 0 → 30"],
    ["login", "app_1", "app_2", "Login: app_1 → app_2"],
    ["storageGiB", null, "20", "Storage (GiB): 20"],
    ["databaseName", "app", null, "Database name: app → –"],
    ["source", "none", "created", "Source: No database → Managed database"],
    ["apply", "now", "maintenance-window", "When to apply changes: Immediately → Maintenance window"],
    ["services", null, "demo/web/app", "Service added: demo/web/app"],
    ["jobs", "migrate/app", null, "Job removed: migrate/app"],
    ["restoreVariables", "true", "false", "Restore variables: Yes → No"],
    ["connectionProof", "required", "skipped", "Connection test in rebuilds: Required → Skipped"],
    ["connectionProof", null, "required", "Connection test in rebuilds: Required"],
    ["protected", "false", "true", "Protected: No → Yes"],
    ["credentials", null, "entered manually", "Credentials: entered manually"],
    ["<b>new</b>", "a", "b", "<b>new</b>: a → b"],
  ] as const) {
    const { label, text } = changeInWords({ setting, before, after });
    expect(`${label}: ${text}`).toBe(words);
  }
});

it("a user is shown by email address, or by subject", () => {
  expect(whoInWords({ who: { subject: "a", email: "ann@example.com" } })).toBe("ann@example.com");
  expect(whoInWords({ who: { subject: "a" } })).toBe("a");
  expect(whoInWords({ who: null })).toBeUndefined();
});

it("each outcome has an indicator", () => {
  const outcomes = ["running", "complete", "rolled-back", "failed", "not-started", "unknown"];
  expect(outcomes.map((outcome) => outcomeInWords({ kind: "change", outcome })?.text)).toEqual([
    "In progress", "Complete", "Rolled back", "Failed", "Not started", "Unknown",
  ]);
  expect(outcomeInWords({ kind: "denied" })).toEqual({ type: "error", text: "Denied" });
  expect(outcomeInWords({ kind: "outside" })).toBeUndefined();
});

it("a change fits into a line, with its outcome unless it's complete", () => {
  const change = { setting: "instanceClass", before: "db.t4g.micro", after: "db.t4g.small" };
  expect(lineOf(record({ changes: [change] }))).toBe("Instance class db.t4g.micro → db.t4g.small");
  expect(lineOf(record({ changes: [change], outcome: "rolled-back" }))).toBe("Instance class db.t4g.micro → db.t4g.small (rolled back)");
  expect(lineOf(record({}))).toBe("Saved the database settings");
  const many = ["5", "6", "7", "8", "9"].map((after) => ({ setting: "backupRetentionDays", after }));
  expect(lineOf(record({ changes: many }))).toMatch(/5, .*6, .*7, and 2 more$/);
});

it("only saves, removals, and rotations are about the database", () => {
  const operations = ["putDatabase", "deleteDatabase", "rotateLogin", "testConnection", "putStage", "postRebuild", null];
  expect(operations.map((operation) => isOfDatabase({ operation }))).toEqual([true, true, true, false, false, false, false]);
});
