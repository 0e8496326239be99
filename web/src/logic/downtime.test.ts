import { expect, it } from "vitest";
import { downtimeOf, lastDowntimeInWords } from "./downtime";

const downtime = (seconds: number) => ({ seconds, from: "2026-11-12T14:03:11.482Z", fields: ["instanceClass"] });

it("the database step says how long connections failed and since when, or that none did", () => {
  const done = { name: "database", status: "complete" };
  expect([43, 1, 95, 0].map((seconds) => downtimeOf({ downtime: downtime(seconds) }, done))).toEqual([
    "Connections failed for 43 s, from 14:03:11 UTC.",
    "Connections failed for 1 s, from 14:03:11 UTC.",
    "Connections failed for 1 min 35 s, from 14:03:11 UTC.",
    "No connection failed.",
  ]);
});

it("nothing is said without a measurement, before the database step is complete, or at another step", () => {
  for (const none of [null, undefined]) expect(downtimeOf({ downtime: none }, { name: "database", status: "complete" })).toBeUndefined();
  for (const status of ["pending", "running", "failed"]) {
    expect(downtimeOf({ downtime: downtime(43) }, { name: "database", status })).toBeUndefined();
  }
  expect(downtimeOf({ downtime: downtime(43) }, { name: "containers", status: "complete" })).toBeUndefined();
});

it("the review says what an interrupting change did the last time", () => {
  const effect = "interruption";
  expect(lastDowntimeInWords({ effect, lastDowntime: downtime(43) })).toBe("Last time: connections failed for 43 s (Nov 12, 2026).");
  expect(lastDowntimeInWords({ effect, lastDowntime: downtime(0) })).toBe("Last time, no connection failed (Nov 12, 2026).");
  for (const none of [null, undefined]) expect(lastDowntimeInWords({ effect, lastDowntime: none })).toBeUndefined();
  expect(lastDowntimeInWords({ effect: "in-place", lastDowntime: downtime(43) })).toBeUndefined();
});
