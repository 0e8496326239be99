/** The form that registers a stage: which services and jobs it has, and what it's named. */
import type { FoundService, Registration, Stack, StageRead } from "../api";
import type { FieldErrors } from "./save";

/** A chosen service, and its container that gets the variables. */
export type Choice = Registration["services"][number];

/** A job as the user typed it. */
export interface JobForm {
  family: string;
  container: string;
  securityGroupId: string;
}

/** Whether a rebuild connects to the database before it publishes anything. */
export type ConnectionProof = "required" | "skipped";

export interface Switches {
  restoreVariables: boolean;
  connectionProof: ConnectionProof;
}

/** What a stage is registered with, as the user entered it. */
export interface RegistrationForm extends Switches {
  services: Choice[];
  jobs: JobForm[];
}

export interface NewStage extends RegistrationForm {
  stack: string;
  stage: string;
  /** Whether the user entered a name, so that suggestions no longer replace it. */
  named: boolean;
  step: number;
}

export const NEW_STAGE: NewStage = {
  services: [],
  jobs: [],
  restoreVariables: true,
  connectionProof: "required",
  stack: "",
  stage: "",
  named: false,
  step: 0,
};

export const EMPTY_JOB: JobForm = { family: "", container: "", securityGroupId: "" };

/** The API's limits. */
export const SERVICES_MAX = 20;
export const JOBS_MAX = 20;
export const STACK_MAX = 32;
export const STAGE_MAX = 16;

const NAME = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;
const ECS_NAME = /^[A-Za-z0-9_-]{1,255}$/;
const SECURITY_GROUP = /^sg-[0-9a-z]+$/;

/** Identifies a service in this Region. */
export const keyOf = ({ cluster, name }: { cluster: string; name: string }) => `${cluster}/${name}`;

/** Whether the user can select a service. `own` is the stage that's being edited, as `stack/stage`. */
export const isSelectable = (found: FoundService, own?: string) => found.registrable || (own !== undefined && found.stage === own);

/** Whether the words are in a service's name, cluster, family, or suggested names. */
export function isMatch(found: FoundService, words: string): boolean {
  const wanted = words.trim().toLowerCase();
  const texts = [found.name, found.cluster, found.family, found.suggested?.stack, found.suggested?.stage];
  return texts.some((text) => text?.toLowerCase().includes(wanted));
}

/**
 * The choices after the user selected these services in the table. Choices that the table doesn't know stay: they may not
 * be loaded yet, or no longer exist. A new choice has its first container.
 */
export function chosenAfter(before: Choice[], selected: FoundService[], known: FoundService[]): Choice[] {
  const isIn = (list: { cluster: string; name: string }[], one: Choice) => list.some((each) => keyOf(each) === keyOf(one));
  const kept = before.filter((choice) => isIn(selected, choice) || !isIn(known, choice));
  const added = selected
    .filter((found) => !before.some((choice) => keyOf(choice) === keyOf(found)))
    .map(({ cluster, name, containers }) => ({ cluster, name, container: containers[0] ?? "" }));
  return [...kept, ...added];
}

/** What ECS shows of the chosen services. */
export const foundOf = (choices: Choice[], known: FoundService[]) =>
  choices.flatMap((choice) => known.find((found) => keyOf(found) === keyOf(choice)) ?? []);

/** The names that the chosen services suggest: the first stack, and the first stage in that stack. */
export function suggestedNames(chosen: FoundService[]): { stack: string; stage: string } {
  const suggestions = chosen.flatMap(({ suggested }) => suggested ?? []);
  const stack = suggestions[0]?.stack ?? "";
  const stage = suggestions.find((each) => each.stack === stack && each.stage)?.stage ?? "";
  return { stack, stage };
}

/** The errors of the services that the page can find without asking the API. */
export function serviceErrors(choices: Choice[], known: FoundService[]): FieldErrors {
  if (choices.length === 0) return { "/services": "Select at least one service." };
  if (choices.length > SERVICES_MAX) {
    return { "/services": `Select ${String(SERVICES_MAX)} services or fewer. You selected ${String(choices.length)}.` };
  }
  const [first, ...rest] = foundOf(choices, known).filter((found) => found.vpcId);
  const other = rest.find((found) => found.vpcId !== first?.vpcId);
  if (!first || !other) return {};
  return {
    "/services": `Select services in the same VPC. ${first.name} is in ${first.vpcId ?? ""}, and ${other.name} is in ${other.vpcId ?? ""}.`,
  };
}

function nameError(what: string, name: string, max: number): string | undefined {
  if (name === "") return `Enter a name for the ${what}.`;
  if (name.length <= max && NAME.test(name)) return undefined;
  return `Must be 1 to ${String(max)} lowercase letters, digits, and single hyphens. It must start with a letter and can't end with a hyphen.`;
}

/** The errors of the names. A stage that's already registered isn't registered again by accident. */
export function nameErrors(stack: string, stage: string, stacks: Stack[]): FieldErrors {
  const errors: FieldErrors = {};
  const ofStack = nameError("stack", stack, STACK_MAX);
  const ofStage = nameError("stage", stage, STAGE_MAX);
  if (ofStack) errors["/stack"] = ofStack;
  if (ofStage) errors["/stage"] = ofStage;
  const taken = stacks.find((each) => each.name === stack)?.stages.find((each) => each.name === stage);
  // A failed registration can be repeated.
  if (taken && taken.state !== "failed") {
    errors["/stage"] = `The stack ${stack} already has a stage ${stage}. Enter another name, or edit that stage's services and jobs.`;
  }
  return errors;
}

export function jobErrors(jobs: JobForm[]): FieldErrors {
  const errors: FieldErrors = {};
  jobs.forEach(({ family, container, securityGroupId }, index) => {
    const at = (field: string) => `/jobs/${String(index)}/${field}`;
    const allowed = "Use letters, digits, hyphens, and underscores only.";
    if (family.trim() === "") errors[at("family")] = "Enter the family of a task definition.";
    else if (!ECS_NAME.test(family.trim())) errors[at("family")] = `${allowed} Leave out the revision.`;
    else if (jobs.findIndex((job) => job.family.trim() === family.trim()) < index) {
      errors[at("family")] = "You already added this family.";
    }
    if (container.trim() === "") errors[at("container")] = "Enter the name of a container.";
    else if (!ECS_NAME.test(container.trim())) errors[at("container")] = allowed;
    if (securityGroupId.trim() !== "" && !SECURITY_GROUP.test(securityGroupId.trim())) {
      errors[at("securityGroupId")] = "Enter a security group ID, such as sg-0123456789abcdef0, or leave this field empty.";
    }
  });
  return errors;
}

export function registrationBody({ services, jobs, restoreVariables, connectionProof }: RegistrationForm): Registration {
  return {
    services: services.map(({ cluster, name, container }) => ({ cluster, name, container })),
    jobs: jobs.map(({ family, container, securityGroupId }) => ({
      family: family.trim(),
      container: container.trim(),
      ...(securityGroupId.trim() === "" ? {} : { securityGroupId: securityGroupId.trim() }),
    })),
    restoreVariables,
    connectionProof,
  };
}

type Registered = Pick<StageRead, "services" | "jobs" | "restoreVariables" | "connectionProof">;

/** The form for what a stage is registered with. */
export function formOfStage({ services, jobs, restoreVariables, connectionProof }: Registered): RegistrationForm {
  return {
    services: services.map(({ cluster, name, container }) => ({ cluster, name, container })),
    jobs: jobs.map(({ family, container, securityGroupId }) => ({ family, container, securityGroupId: securityGroupId ?? "" })),
    restoreVariables,
    connectionProof: connectionProof === "skipped" ? "skipped" : "required",
  };
}

/** The pointers of all fields that the form shows, to which errors of the API can belong. */
export function pointersOf({ services, jobs }: RegistrationForm): string[] {
  const ofList = (list: unknown[], name: string, fields: string[]) =>
    list.flatMap((_, index) => fields.map((field) => `/${name}/${String(index)}${field}`));
  return [
    "/services",
    ...ofList(services, "services", ["", "/cluster", "/name", "/container"]),
    "/jobs",
    ...ofList(jobs, "jobs", ["", "/family", "/container", "/securityGroupId"]),
    "/stack",
    "/stage",
  ];
}

/** The first step with an error, or undefined if there's none. The services are step 0, and the rest is step 1. */
export function stepOf(errors: FieldErrors): number | undefined {
  const pointers = Object.keys(errors);
  if (pointers.length === 0) return undefined;
  return pointers.some((pointer) => pointer.startsWith("/services")) ? 0 : 1;
}

/** The errors that remain after these parts of the form have changed. */
export function errorsAfter(errors: FieldErrors, changed: object): FieldErrors {
  const stays = ([pointer]: [string, string]) => !Object.keys(changed).includes(pointer.split("/")[1] ?? "");
  return Object.fromEntries(Object.entries(errors).filter(stays));
}
