import { describe, expect, it } from "vitest";
import { type FoundService, Refusal } from "../api";
import { byField } from "./errors";
import {
  chosenAfter,
  EMPTY_JOB,
  errorsAfter,
  formOfStage,
  isMatch,
  isSelectable,
  jobErrors,
  nameErrors,
  NEW_STAGE,
  pointersOf,
  registrationBody,
  serviceErrors,
  stepOf,
  suggestedNames,
} from "./registration";

const found = (name: string, more: Partial<FoundService> = {}): FoundService => ({
  cluster: "demo",
  name,
  containers: ["web", "proxy"],
  family: `${name}-family`,
  vpcId: "vpc-1",
  subnetIds: [],
  availabilityZones: [],
  securityGroupIds: [],
  registrable: true,
  ...more,
});
const choice = (name: string, container = "web") => ({ cluster: "demo", name, container });

describe("the chosen services", () => {
  it("keep their containers and their order, and a new one has its first container", () => {
    const known = [found("a"), found("b"), found("c")];
    const before = [choice("b", "proxy"), choice("a")];
    expect(chosenAfter(before, [found("b"), found("c")], known)).toEqual([choice("b", "proxy"), choice("c")]);
  });

  it("keep a service that the table doesn't show", () => {
    expect(chosenAfter([choice("deleted")], [found("a")], [found("a")])).toEqual([choice("deleted"), choice("a")]);
  });

  it("must be 1 to 20 services in one VPC", () => {
    expect(serviceErrors([], [])).toEqual({ "/services": "Select at least one service." });
    const many = Array.from({ length: 21 }, (_, index) => choice(`s${String(index)}`));
    expect(serviceErrors(many, [])).toHaveProperty(["/services"], "Select 20 services or fewer. You selected 21.");
    expect(serviceErrors(many.slice(1), [])).toEqual({});
    expect(serviceErrors([choice("a"), choice("b")], [found("a"), found("b", { vpcId: "vpc-2" })])).toEqual({
      "/services": "Select services in the same VPC. a is in vpc-1, and b is in vpc-2.",
    });
  });

  it("can't belong to another stage", () => {
    const taken = found("a", { registrable: false, stage: "shop/dev" });
    expect([isSelectable(taken), isSelectable(taken, "shop/prod"), isSelectable(taken, "shop/dev")]).toEqual([false, false, true]);
    expect(isSelectable(found("a", { registrable: false }))).toBe(false);
  });
});

it("a search finds a service by its name, cluster, family, and suggested names", () => {
  const service = found("web-1", { family: "orders", suggested: { stack: "shop", stage: "qa" } });
  for (const words of ["WEB", "demo", " order", "shop", "qa", ""]) expect(isMatch(service, words), words).toBe(true);
  expect(isMatch(service, "else")).toBe(false);
});

it("the names are those that the first service with suggestions suggests", () => {
  const suggests = (stack: string, stage?: string) => found(stack, { suggested: { stack, stage } });
  expect(suggestedNames([found("a"), suggests("shop"), suggests("blog", "prod"), suggests("shop", "qa")])).toEqual({ stack: "shop", stage: "qa" });
  expect(suggestedNames([suggests("shop"), suggests("blog", "prod")])).toEqual({ stack: "shop", stage: "" });
  expect(suggestedNames([found("a")])).toEqual({ stack: "", stage: "" });
});

describe("the names", () => {
  it("follow the API's pattern and limits", () => {
    for (const name of ["a", "shop", "test-django2", "a".repeat(16)]) expect(nameErrors(name, name, [])).toEqual({});
    for (const name of ["Shop", "2shop", "-shop", "shop-", "sh--op", "shop_1", "a".repeat(33)]) {
      expect(Object.keys(nameErrors(name, name, []))).toEqual(["/stack", "/stage"]);
    }
    expect(nameErrors("a".repeat(32), "a".repeat(17), [])).toHaveProperty(["/stage"]);
    expect(nameErrors("", "", [])).toEqual({ "/stack": "Enter a name for the stack.", "/stage": "Enter a name for the stage." });
  });

  it("can't be those of a registered stage, unless its registration failed", () => {
    const stacks = (state: string) => [{ name: "shop", stages: [{ name: "dev", state, source: "none" }] }];
    expect(nameErrors("shop", "dev", stacks("complete"))).toHaveProperty(["/stage"]);
    expect(nameErrors("shop", "dev", stacks("failed"))).toEqual({});
    expect(nameErrors("shop", "prod", stacks("complete"))).toEqual({});
  });
});

it("a job needs a family, once, and a container", () => {
  const job = { family: "migrate", container: "web", securityGroupId: "" };
  expect(jobErrors([job, { ...job, family: "other", securityGroupId: "sg-0a" }])).toEqual({});
  expect(Object.keys(jobErrors([EMPTY_JOB, job, job, { ...job, family: "x:3", securityGroupId: "0a" }]))).toEqual([
    "/jobs/0/family",
    "/jobs/0/container",
    "/jobs/2/family",
    "/jobs/3/family",
    "/jobs/3/securityGroupId",
  ]);
});

it("the body of a registration has no empty security group, and the form of a stage leads back to it", () => {
  const jobs = [
    { family: " migrate ", container: "web", securityGroupId: "" },
    { family: "report", container: "web", securityGroupId: "sg-1" },
  ];
  const body = registrationBody({ ...NEW_STAGE, services: [choice("a")], jobs });
  expect(body).toEqual({
    services: [choice("a")],
    jobs: [
      { family: "migrate", container: "web" },
      { family: "report", container: "web", securityGroupId: "sg-1" },
    ],
    restoreVariables: true,
    connectionProof: "required",
  });
  const services = [{ ...choice("a"), problem: "It's gone." }];
  const form = formOfStage({ services, jobs: body.jobs ?? [], restoreVariables: true, connectionProof: "required" });
  expect(registrationBody(form)).toEqual(body);
});

it("a registration keeps the stage's switches", () => {
  for (const restoreVariables of [true, false]) {
    for (const connectionProof of ["required", "skipped"]) {
      const stage = { services: [choice("a")], jobs: [], restoreVariables, connectionProof };
      expect(registrationBody(formOfStage(stage))).toEqual(stage);
    }
  }
});

it("errors of the API are shown at their fields, and the first step with one is known", () => {
  const form = { ...NEW_STAGE, services: [choice("a")], jobs: [EMPTY_JOB] };
  const refusal = (...pointers: string[]) =>
    new Refusal({
      type: "", title: "", status: 422, detail: "", requestId: "",
      errors: pointers.map((pointer) => ({ pointer, detail: "must be right" })),
    });
  const { fields, whole } = byField(refusal("/services/0/name", "/jobs/0/securityGroupId"), pointersOf(form));
  expect(Object.keys(fields)).toEqual(["/services/0/name", "/jobs/0/securityGroupId"]);
  expect(whole).toBeNull();
  expect(byField(refusal("/services/7/name"), pointersOf(form)).whole).not.toBeNull();
  expect([stepOf(fields), stepOf({ "/jobs/0/family": "x" }), stepOf({ "/stack": "x" }), stepOf({})]).toEqual([0, 1, 1, undefined]);
});

it("an error disappears when its part of the form changes", () => {
  const errors = { "/services": "x", "/jobs/0/family": "x", "/stack": "x" };
  expect(Object.keys(errorsAfter(errors, { jobs: [] }))).toEqual(["/services", "/stack"]);
});
