import { expect, it } from "vitest";
import { changesInWords } from "./registration-changes";

const service = (name: string, container = "web") => ({ cluster: "demo", name, container });
const job = (family: string, container = "web") => ({ family, container, securityGroupId: "" });
const before = {
  services: [service("a"), service("b")],
  jobs: [job("migrate"), job("report")],
  restoreVariables: true,
  connectionProof: "required" as const,
};

it("nothing is said if nothing changes", () => {
  expect(changesInWords(before, before, true)).toEqual([]);
  expect(changesInWords(before, { ...before, services: [service("b"), service("a")] }, true)).toEqual([]);
});

it("every service and job that changes is named", () => {
  const after = {
    ...before,
    services: [service("b", "proxy"), service("c"), service("d")],
    jobs: [job("report", "proxy"), job("import")],
  };
  expect(changesInWords(before, after, true)).toEqual([
    "a loses its runtime variables: stagedb redeploys the containers without them.",
    "c and d get the runtime variables: stagedb redeploys the containers with them.",
    "b gets the variables in another container: stagedb redeploys the containers.",
    "migrate loses its runtime variables in a new revision of the task definition.",
    "import gets the runtime variables in a new revision of the task definition.",
    "report changes as you entered it.",
  ]);
  expect(changesInWords(before, after, false).slice(0, 2)).toEqual(["a leaves the stage.", "c and d join the stage."]);
});
