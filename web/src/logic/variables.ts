/** What the runtime variables screen says about services and jobs. */
import type { RuntimeVariables, Schemas } from "../api";

/** A service or a job with the variables of its container. */
export interface Holder {
  key: string;
  name: string;
  /** What it is: “Container web of the service in the cluster demo”. */
  description: string;
  has: Schemas["ContainerVariables"];
  story?: string;
  /** The last restoration, if the story isn't about it. */
  restored?: string;
}

/** The services and the jobs of a stage, in one list. */
export function holdersOf({ services, jobs }: RuntimeVariables): Holder[] {
  return [
    ...services.map((service): Holder => {
      const { cluster, name, container, story, restored } = service;
      return {
        key: `service ${cluster}/${name}`,
        name,
        description: `Container ${container} of the service in the cluster ${cluster}`,
        has: service,
        ...(story ? { story: ended(story) } : {}),
        ...(restored && !(story && service.missing.length === 0) ? { restored: restoredInWords(restored) } : {}),
      };
    }),
    ...jobs.map(
      (job): Holder => ({
        key: `job ${job.family}`,
        name: job.family,
        description: `Container ${job.container} of the job`,
        has: job,
      }),
    ),
  ];
}

/** Whether a service or a job lacks variables. */
export function lacksSome(variables: RuntimeVariables): boolean {
  return [...variables.services, ...variables.jobs].some(({ missing }) => missing.length > 0);
}

/** “web:57 was deployed without the variables; restored in :58 at 14:03 UTC on 2026-11-26”, as the API tells it. */
export function restoredInWords({ deployed, restored, at }: Schemas["Restoration"]): string {
  const time = new Date(at).toISOString();
  const revision = restored.replace(/^.*:/, ":");
  return `${deployed} was deployed without the variables; restored in ${revision} at ${time.slice(11, 16)} UTC on ${time.slice(0, 10)}.`;
}

/** Ends what the API tells with a period. It may begin with a name, so it isn't capitalized. */
const ended = (text: string) => (/[.!?]$/.test(text) ? text : `${text}.`);

/** Turns the ARN of a task definition into `family:revision`. */
export const revisionOf = (arn: string) => arn.replace(/^.*\//, "");

/** Turns the ARN of a secret into its name, without the random suffix. */
export const secretName = (arn: string | null | undefined) =>
  arn?.replace(/^.*:secret:/, "").replace(/-[A-Za-z0-9]{6}$/, "") ?? "";
