import { describe, expect, it } from "vitest";
import { type ConnectionTest, Refusal, type Save } from "../api";
import {
  begunAt,
  endedWith,
  EVERY,
  isTesting,
  knowledgeOf,
  outcomeOf,
  PATIENCE,
  reportOf,
  reviewOf,
  shownOf,
  valuesOf,
  without,
} from "./connection-test";

const found = (status: string, more: Partial<ConnectionTest> = {}): ConnectionTest => ({
  id: "a1",
  status,
  startedAt: "2026-11-28T09:00:00Z",
  certificateIsVerified: true,
  results: [],
  ...more,
});
const place = { securityGroups: ["sg-1"], executionRoleArn: "arn:role" };
const refusal = (status: number) => new Refusal({ type: "", title: "", status, detail: `status ${String(status)}`, requestId: "" });

/** Runs a test whose reads give these one after the other, and the last one again and again. */
async function waitedFor(...reads: (ConnectionTest | Error)[]) {
  let time = 0;
  let count = 0;
  const outcome = await outcomeOf(
    () => {
      const next = reads[Math.min(count, reads.length - 1)] ?? found("running");
      count += 1;
      return next instanceof Error ? Promise.reject(next) : Promise.resolve(next);
    },
    (milliseconds) => {
      time += milliseconds;
      return Promise.resolve();
    },
    () => time,
  );
  return { outcome, time, count };
}

describe("a running test", () => {
  it("is read every 2 seconds until it has ended", async () => {
    const done = found("connected");
    expect(await waitedFor(found("running"), found("running"), done)).toEqual({ outcome: { test: done }, time: 3 * EVERY, count: 3 });
    expect((await waitedFor(found("failed"))).outcome).toEqual({ test: found("failed") });
  });

  it("is given up after 3 minutes with a message that says what to do", async () => {
    const { outcome, time } = await waitedFor(found("running"));
    expect(time).toBe(PATIENCE);
    expect(outcome).toMatchObject({ lost: expect.stringContaining("didn't finish within 3 minutes. Test the connection again") as string });
  });

  it("survives errors that pass, and the last one is shown if they don't", async () => {
    const done = found("connected");
    for (const status of [0, 429, 500, 503]) {
      expect((await waitedFor(refusal(status), found("running"), done)).outcome).toEqual({ test: done });
    }
    expect(await waitedFor(refusal(0))).toMatchObject({ outcome: { lost: "status 0" }, time: PATIENCE });
  });

  it("isn't read anymore after a refusal", async () => {
    for (const status of [400, 403]) expect(await waitedFor(refusal(status))).toMatchObject({ outcome: { lost: `status ${String(status)}` }, count: 1 });
  });

  it("may not be found at first", async () => {
    const done = found("connected");
    expect((await waitedFor(refusal(404), refusal(404), done)).outcome).toEqual({ test: done });
    expect(await waitedFor(refusal(404))).toMatchObject({ outcome: { lost: "status 404" }, count: 5 });
  });

  it("isn't followed after the form is left", async () => {
    await expect(waitedFor(new DOMException("left", "AbortError"))).rejects.toThrow("left");
  });
});

describe("a result", () => {
  const body: Save = { source: "attached", identifier: "orders", databaseName: "orders" };
  const [a, b] = [valuesOf(body, '"1"'), valuesOf({ ...body, databaseName: "other" }, '"1"')];
  const connected = { test: found("connected") };

  it("belongs to exactly these values of exactly this stage", () => {
    const tests = endedWith(begunAt([], a), a, connected);
    expect(shownOf(tests, a)).toMatchObject({ isOutdated: false });
    for (const other of [b, valuesOf(body, '"2"'), undefined]) {
      expect(shownOf(tests, other)).toMatchObject({ tested: { values: a }, isOutdated: true });
    }
    expect(shownOf([], a)).toBeUndefined();
  });

  it("is shown again when the user goes back to its values", () => {
    const tests = endedWith(begunAt(endedWith(begunAt([], a), a, connected), b), b, { test: found("failed") });
    expect(shownOf(tests, a)).toEqual({ tested: { values: a, outcome: connected }, isOutdated: false });
    expect(knowledgeOf(tests, a)).toBe("connected");
    expect(knowledgeOf(tests, b)).toBe("failed");
  });

  it("is replaced by the next test of the same values, and a running test is shown first", () => {
    const ended = endedWith(begunAt([], a), a, connected);
    expect(begunAt(ended, a)).toEqual([{ values: a }]);
    expect(shownOf(begunAt(ended, b), a)).toEqual({ tested: { values: b }, isOutdated: true });
    expect([isTesting(ended), isTesting(begunAt(ended, b)), isTesting(without(begunAt(ended, b), b))]).toEqual([false, true, false]);
  });

  it("is known to the review as far as it's about these values", () => {
    expect(knowledgeOf([], a)).toBe("untested");
    expect(knowledgeOf(begunAt([], a), a)).toBe("running");
    expect(knowledgeOf(begunAt([], a), b)).toBe("untested");
    expect(knowledgeOf(endedWith(begunAt([], a), a, { lost: "Can't reach the API." }), a)).toBe("untested");
  });
});

describe("the report", () => {
  it("of a success lists the places, and says if the certificate couldn't be verified", () => {
    const results = [
      { ...place, from: "service demo/web", status: "connected" },
      { ...place, from: "job migrate", status: "connected" },
    ];
    const report = reportOf({ test: found("connected", { results }) });
    expect(report).toEqual({
      type: "success",
      header: "Connected from everywhere your services and jobs run",
      places: [{ from: "Service demo/web" }, { from: "Job migrate" }],
    });
    expect(reportOf({ test: found("connected", { results, certificateIsVerified: false }) }).text).toBe(
      "The connection was encrypted, but the server's certificate couldn't be verified in this Region.",
    );
  });

  it("of a failure has the reason and the next step of each place", () => {
    const results = [
      { ...place, from: "service demo/web-1", status: "failed", reason: "no route: the database doesn't answer", nextStep: "Check the route." },
      { ...place, from: "job migrate", status: "connected" },
    ];
    expect(reportOf({ test: found("failed", { results }) })).toEqual({
      type: "error",
      header: "The connection test failed",
      places: [
        { from: "Service demo/web-1", found: "No route: the database doesn't answer.", nextStep: "Check the route." },
        { from: "Job migrate", found: "Connected." },
      ],
    });
  });

  it("of a test that couldn't be finished has its reason", () => {
    expect(reportOf({ test: found("failed", { reason: "None of the stage's services is active." }) })).toMatchObject({
      type: "error",
      text: "None of the stage's services is active.",
    });
    expect(reportOf({ lost: "Can't reach the API." })).toMatchObject({ type: "warning", text: "Can't reach the API.", places: [] });
  });
});

it("the review says what is known about the connection, and what the rebuild does about it", () => {
  for (const [knowledge, proof, type, header, text] of [
    ["connected", "required", "success", "The connection test succeeded", "stagedb connected from everywhere"],
    ["failed", "required", "warning", "The connection test failed", "You can still save. The rebuild connects before it publishes anything."],
    ["failed", "skipped", "warning", "The connection test failed", "The rebuild publishes without connecting first"],
    ["running", "required", "info", "The connection test is still running", "close this dialog"],
    ["untested", "required", "info", "The connection isn't tested", "The rebuild connects before"],
    ["untested", "skipped", "warning", "The connection isn't tested", "without connecting first"],
    ["untested", undefined, "info", "The connection isn't tested", ""],
  ] as const) {
    const review = reviewOf(knowledge, proof);
    expect(review).toMatchObject({ type, header });
    expect(review.text).toContain(text);
  }
});
