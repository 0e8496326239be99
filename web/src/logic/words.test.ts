import { expect, it } from "vitest";
import type { Rebuild } from "../api";
import { capacity, databaseStatus, duration, progress, stageStatus } from "./words";

const rebuild = (phase: string, ...statuses: string[]): Rebuild => ({
  phase,
  steps: statuses.map((status, index) => ({ name: String(index), status })),
});

it("progress counts a running step as half, and ends at 100 even where steps were not needed", () => {
  expect(progress(rebuild("updating", "complete", "running", "pending", "pending"))).toBe(38);
  expect(progress(rebuild("updating"))).toBe(0);
  expect(progress(rebuild("complete", "complete", "pending"))).toBe(100);
});

it("a database's status has a tone that fits", () => {
  const types = ["available", "storage-optimization", "creating", "stopped", "failed", "incompatible-network", "missing", "never-heard-of"];
  expect(types.map((state) => databaseStatus(state).type)).toEqual([
    "success", "success", "in-progress", "stopped", "error", "error", "error", "in-progress",
  ]);
  expect(databaseStatus("storage-optimization").text).toBe("Storage optimization");
});

it("a stage's state is said in words", () => {
  expect(["updating", "complete", "rolled-back", "failed"].map((state) => stageStatus(state).text)).toEqual([
    "Rebuilding", "Complete", "Last change undone", "Failed",
  ]);
});

it("durations are short", () => {
  expect([0, 59_400, 60_000, 95_000, 3_700_000, -5].map(duration)).toEqual(["0 s", "59 s", "1 min 0 s", "1 min 35 s", "1 h 1 min", "0 s"]);
});

it("a class says what is known of it", () => {
  const found = { name: "db.t4g.micro", minStorageGiB: 20, maxStorageGiB: 65536, multiAz: true, storageAutoscaling: true };
  expect(capacity({ ...found, vcpus: 2, memoryMiB: 1024 })).toBe("2 vCPU, 1 GiB memory");
  expect(capacity({ ...found, memoryMiB: 512 })).toBe("0.5 GiB memory");
  expect(capacity(found)).toBe("");
});
