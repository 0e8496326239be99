/** Tests of connections: how long the page waits for one, which values it belongs to, and what it says. */
import { type ConnectionResult, type ConnectionTest, Refusal, type Save } from "../api";
import { fieldSentence } from "./save";

/** Milliseconds between reads of a running test. */
export const EVERY = 2000;
/** After these milliseconds, the page stops waiting. The API gives up earlier, so this means that something is wrong. */
export const PATIENCE = 180_000;
/** A test may not be found for these milliseconds after it was started. */
const SETTLING = 10_000;

const LATE =
  "The test didn't finish within 3 minutes. Test the connection again. If that happens again, see the log of client-progress for the cause.";

/** What a test has found, or why that isn't known. */
export type Outcome = { test: ConnectionTest } | { lost: string };

/** A test that this page started. Without an outcome, it's running. */
export interface Tested {
  /** The values that it's for. */
  values: string;
  outcome?: Outcome;
}

/** A test is for these settings, of the stage as it was read with this ETag. The text has the password, so it stays in memory. */
export const valuesOf = (body: Save, etag: string | undefined) => JSON.stringify([body, etag]);

/** Reads a test until it has ended. Whatever ends the waiting, such as leaving the form, makes `read` or `wait` throw. */
export async function outcomeOf(
  read: () => Promise<ConnectionTest>,
  wait: (milliseconds: number) => Promise<void>,
  now: () => number,
): Promise<Outcome> {
  const began = now();
  for (;;) {
    await wait(EVERY);
    let lost = LATE;
    try {
      const test = await read();
      if (test.status !== "running") return { test };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      lost = error.message;
      const { status } = error.problem;
      const mayPass = status < 400 || status >= 500 || status === 429 || (status === 404 && now() - began < SETTLING);
      if (!mayPass) return { lost };
    }
    if (now() - began >= PATIENCE) return { lost };
  }
}

/** The tests after another one has started. The newest comes first, and the same values have one. */
export const begunAt = (tests: Tested[], values: string): Tested[] => [{ values }, ...without(tests, values)];

export const endedWith = (tests: Tested[], values: string, outcome: Outcome): Tested[] =>
  tests.map((each) => (each.values === values ? { values, outcome } : each));

export const without = (tests: Tested[], values: string): Tested[] => tests.filter((each) => each.values !== values);

export const isTesting = (tests: Tested[]) => tests.some(({ outcome }) => outcome === undefined);

/** The test to show: a running one, the one for these values, or else the last one. */
export function shownOf(tests: Tested[], values: string | undefined): { tested: Tested; isOutdated: boolean } | undefined {
  const running = tests.find(({ outcome }) => outcome === undefined);
  const tested = running ?? tests.find((each) => each.values === values) ?? tests[0];
  return tested && { tested, isOutdated: tested.values !== values };
}

/** What is known about values that the user is about to save. */
export type Knowledge = "connected" | "failed" | "running" | "untested";

export function knowledgeOf(tests: Tested[], values: string): Knowledge {
  const found = tests.find((each) => each.values === values);
  if (!found) return "untested";
  if (!found.outcome) return "running";
  if ("lost" in found.outcome) return "untested";
  return found.outcome.test.status === "connected" ? "connected" : "failed";
}

const NOT_VERIFIED = "The connection was encrypted, but the server's certificate couldn't be verified in this Region.";

/** A place from which a client connected or didn't. */
export interface Place {
  from: string;
  /** What happened there, if it didn't connect from everywhere. */
  found?: string;
  nextStep?: string;
}

/** A test's outcome in words. */
export interface Report {
  type: "success" | "error" | "warning";
  header: string;
  text?: string;
  places: Place[];
}

function placeOf({ from, status, reason, nextStep }: ConnectionResult): Place {
  const found = status === "connected" ? "Connected." : (fieldSentence(reason ?? undefined) ?? "Couldn't connect.");
  return { from: capitalized(from), found, ...(nextStep ? { nextStep } : {}) };
}

const capitalized = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

export function reportOf(outcome: Outcome): Report {
  if ("lost" in outcome) return { type: "warning", header: "The result of the connection test isn't known", text: outcome.lost, places: [] };
  const { status, reason, certificateIsVerified, results } = outcome.test;
  if (status === "connected") {
    return {
      type: "success",
      header: "Connected from everywhere your services and jobs run",
      ...(certificateIsVerified ? {} : { text: NOT_VERIFIED }),
      places: results.map(({ from }) => ({ from: capitalized(from) })),
    };
  }
  return {
    type: "error",
    header: "The connection test failed",
    ...(reason ? { text: fieldSentence(reason) } : {}),
    places: results.map(placeOf),
  };
}

/** What the rebuild does about the connection. */
const REBUILD: Record<string, string> = {
  required: "The rebuild connects before it publishes anything. If it can't, the change is rolled back.",
  skipped: "The rebuild publishes without connecting first, because this stage skips the connection test in rebuilds.",
};

interface Note {
  type: "success" | "warning" | "info";
  header: string;
  text: string;
}

/** What the review says about the connection. `proof` is the stage's, as soon as it's known. */
export function reviewOf(knowledge: Knowledge, proof: string | undefined): Note {
  const rebuild = REBUILD[proof ?? ""] ?? "";
  const and = (text: string) => (rebuild === "" ? text : `${text} ${rebuild}`);
  const cautious = proof === "skipped" ? "warning" : "info";
  switch (knowledge) {
    case "connected":
      return {
        type: "success",
        header: "The connection test succeeded",
        text: "With these values, stagedb connected from everywhere your services and jobs run.",
      };
    case "failed":
      return { type: "warning", header: "The connection test failed", text: and("You can still save.") };
    case "running":
      return { type: cautious, header: "The connection test is still running", text: and("To see its result, close this dialog.") };
    case "untested":
      return { type: cautious, header: "The connection isn't tested", text: rebuild };
  }
}
