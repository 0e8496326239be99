import { expect, it } from "vitest";
import { holdersOf, lacksSome, restoredInWords, revisionOf, secretName } from "./variables";

const has = { container: "web", variables: [], missing: [] as string[], conflicts: [] };
const restored = { deployed: "test-django2-dev:57", restored: "test-django2-dev:58", at: "2026-11-26T14:03:59Z" };
const sentence = "test-django2-dev:57 was deployed without the variables; restored in :58 at 14:03 UTC on 2026-11-26.";
const of = (service: object) => ({
  secretArnParameter: "/stagedb/x",
  restoreVariables: true,
  services: [{ ...has, cluster: "demo", name: "test-django2-dev", ...service }],
  jobs: [{ ...has, family: "migrate" }],
});

it("services and jobs are in one list", () => {
  expect(holdersOf(of({})).map(({ key, name, description }) => [key, name, description])).toEqual([
    ["service demo/test-django2-dev", "test-django2-dev", "Container web of the service in the cluster demo"],
    ["job migrate", "migrate", "Container web of the job"],
  ]);
});

it("a restoration is told once", () => {
  expect(restoredInWords(restored)).toBe(sentence);
  expect(holdersOf(of({ restored }))[0]).toMatchObject({ restored: sentence });
  expect(holdersOf(of({ story: sentence.slice(0, -1) }))[0]).toMatchObject({ story: sentence });
  expect(holdersOf(of({ restored, story: sentence }))[0]).not.toHaveProperty("restored");
  expect(holdersOf(of({ restored, story: "It lacks some.", missing: ["PG_HOST"] }))[0]).toMatchObject({ restored: sentence });
});

it("a service that lacks variables is noticed", () => {
  expect([lacksSome(of({})), lacksSome(of({ missing: ["PG_HOST"] }))]).toEqual([false, true]);
});

it("ARNs are shortened", () => {
  expect(revisionOf("arn:aws:ecs:us-east-1:123456789012:task-definition/web:3")).toBe("web:3");
  expect(secretName("arn:aws:secretsmanager:us-east-1:123456789012:secret:dev-shop-postgres-AbCdEf")).toBe("dev-shop-postgres");
  expect(secretName(null)).toBe("");
});
