/** What changes for the services and jobs of a stage when the user saves. */
import { keyOf, type RegistrationForm } from "./registration";

const LIST = new Intl.ListFormat("en-US", { type: "conjunction" });

/** Returns a sentence for each kind of change, or none if nothing changes. */
export function changesInWords(before: RegistrationForm, after: RegistrationForm, hasDatabase: boolean): string[] {
  const is = (some: { cluster: string; name: string }) => (other: { cluster: string; name: string }) => keyOf(some) === keyOf(other);
  const removed = before.services.filter((service) => !after.services.some(is(service)));
  const added = after.services.filter((service) => !before.services.some(is(service)));
  const moved = after.services.filter((service) => {
    const old = before.services.find(is(service));
    return old !== undefined && old.container !== service.container;
  });
  const job = (of: RegistrationForm["jobs"][number]) => `${of.family}/${of.container}/${of.securityGroupId}`;
  const families = (of: RegistrationForm["jobs"]) => of.map(({ family }) => family.trim());
  const removedJobs = families(before.jobs).filter((family) => !families(after.jobs).includes(family));
  const addedJobs = families(after.jobs).filter((family) => !families(before.jobs).includes(family));
  const changedJobs = after.jobs
    .filter((each) => before.jobs.some((old) => old.family === each.family.trim() && job(old) !== job(each)))
    .map(({ family }) => family.trim());

  const sentences: string[] = [];
  const say = (names: string[], one: string, many: string, end: string) => {
    if (names.length > 0) sentences.push(`${LIST.format(names)} ${names.length === 1 ? one : many}${end}`);
  };
  const services = (of: { name: string }[]) => of.map(({ name }) => name);
  if (hasDatabase) {
    say(services(removed), "loses its", "lose their", " runtime variables: stagedb redeploys the containers without them.");
    say(services(added), "gets", "get", " the runtime variables: stagedb redeploys the containers with them.");
    say(services(moved), "gets", "get", " the variables in another container: stagedb redeploys the containers.");
    say(removedJobs, "loses its", "lose their", " runtime variables in a new revision of the task definition.");
    say(addedJobs, "gets", "get", " the runtime variables in a new revision of the task definition.");
    say(changedJobs, "changes", "change", " as you entered it.");
  } else {
    say(services(removed), "leaves", "leave", " the stage.");
    say(services(added), "joins", "join", " the stage.");
    say(services(moved), "gets", "get", " the variables in another container when you add a database.");
    say(removedJobs, "leaves", "leave", " the stage.");
    say(addedJobs, "joins", "join", " the stage.");
    say(changedJobs, "changes", "change", " as you entered it.");
  }
  return sentences;
}
