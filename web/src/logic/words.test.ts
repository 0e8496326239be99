import { expect, it } from "vitest";
import type { Rebuild } from "../api";
import { capacity, databaseStatus, date, day, duration, matches, progress, proofHint, stageStatus, stepHint, stepTitle, timeZone } from "./words";

const rebuild = (phase: string, ...statuses: string[]): Rebuild => ({
  phase,
  steps: statuses.map((status, index) => ({ name: String(index), status })),
});

it("progress counts a running step as half, and is 100 at the end even if steps were skipped", () => {
  expect(progress(rebuild("updating", "complete", "running", "pending", "pending"))).toBe(38);
  expect(progress(rebuild("updating"))).toBe(0);
  expect(progress(rebuild("complete", "complete", "pending"))).toBe(100);
});

it("each database status has the right indicator", () => {
  const types = ["available", "storage-optimization", "creating", "stopped", "failed", "incompatible-network", "missing", "never-heard-of"];
  expect(types.map((state) => databaseStatus(state).type)).toEqual([
    "success", "success", "in-progress", "stopped", "error", "error", "error", "in-progress",
  ]);
  expect(databaseStatus("storage-optimization").text).toBe("Storage optimization");
});

it("a stage's state is shown in words", () => {
  expect(["updating", "complete", "rolled-back", "failed"].map((state) => stageStatus(state).text)).toEqual([
    "Rebuilding", "Complete", "Rolled back", "Failed",
  ]);
});

it("a step with a service has the service's name", () => {
  expect(stepTitle({ name: "containers", service: "demo/test-django2-dev" })).toBe("Containers of test-django2-dev");
  expect(stepTitle({ name: "access" })).toBe("Network access");
});

it("each step of a rebuild has a title and a hint", () => {
  const names = ["credentials", "database", "access", "login", "proof", "connection", "containers"];
  expect(names.map((name) => stepTitle({ name }))).toEqual([
    "Credentials", "Database", "Network access", "App login", "Connection test", "Connection details", "Containers",
  ]);
  expect(names.filter((name) => stepHint(name) === "")).toEqual([]);
});

it("the hint of the connection test says what happens, and when to skip it", () => {
  expect(proofHint("required")).toContain("before it publishes anything");
  expect(proofHint("skipped")).toContain("Choose this only if");
});

it("a date has the time zone's short name, and a day has no time", () => {
  expect(date("2026-11-26T12:04:00Z")).toMatch(/^Nov \d\d, 2026, \d{1,2}:\d\d\s[AP]M \S+$/);
  expect(day("2026-11-26T12:04:00Z")).toMatch(/^Nov \d\d, 2026$/);
  expect(timeZone()).toMatch(/^\S+$/);
});

it("the number of matches is in the singular or the plural", () => {
  expect([0, 1, 2].map(matches)).toEqual(["0 matches", "1 match", "2 matches"]);
});

it("durations are short", () => {
  expect([0, 59_400, 60_000, 95_000, 3_700_000, -5].map(duration)).toEqual(["0 s", "59 s", "1 min 0 s", "1 min 35 s", "1 h 1 min", "0 s"]);
});

it("an instance class shows its vCPUs and memory if they're known", () => {
  const found = { name: "db.t4g.micro", minStorageGiB: 20, maxStorageGiB: 65536, multiAz: true, storageAutoscaling: true };
  expect(capacity({ ...found, vcpus: 2, memoryMiB: 1024 })).toBe("2 vCPUs, 1 GiB memory");
  expect(capacity({ ...found, memoryMiB: 512 })).toBe("0.5 GiB memory");
  expect(capacity(found)).toBe("");
});
