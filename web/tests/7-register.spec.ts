import type { Page } from "@playwright/test";
import { aws, checkAccessible, choose, expect, reviewAndSave, STACK, test, waitForCompletion } from "./world";

test.describe.configure({ mode: "serial" });

/** A new stage, whose names the tags of its service suggest. */
const PATH = "/stacks/shop/stages/qa";
const WEB = "shop-web";
const WORKER = "shop-worker";

let image = "";
let executionRole = "";

/** What a team's own deployment registers: a task definition without the variables. */
function registerDefinition(family: string, containers: string[]): void {
  const definitions = containers.map((name) => ({ name, image, essential: true }));
  aws("ecs", "register-task-definition", "--family", family, "--requires-compatibilities", "FARGATE", "--network-mode", "awsvpc", "--cpu", "256", "--memory", "512", "--execution-role-arn", executionRole, "--container-definitions", JSON.stringify(definitions));
}

/** The names of the secrets in a container of the service. */
function secretsOf(service: string, container: string): string[] {
  const { services } = aws("ecs", "describe-services", "--cluster", "demo", "--services", service) as {
    services: { taskDefinition: string }[];
  };
  const { taskDefinition } = aws("ecs", "describe-task-definition", "--task-definition", services[0]?.taskDefinition ?? "") as {
    taskDefinition: { containerDefinitions: { name: string; secrets?: { name: string }[] }[] };
  };
  const found = taskDefinition.containerDefinitions.find((each) => each.name === container);
  return (found?.secrets ?? []).map((secret) => secret.name);
}

test.beforeAll(() => {
  const { services } = aws("ecs", "describe-services", "--cluster", "demo", "--services", `${STACK}-prod`) as {
    services: { taskDefinition: string; networkConfiguration: unknown }[];
  };
  const prod = services[0];
  const { taskDefinition } = aws("ecs", "describe-task-definition", "--task-definition", prod?.taskDefinition ?? "") as {
    taskDefinition: { executionRoleArn: string; containerDefinitions: { image: string }[] };
  };
  executionRole = taskDefinition.executionRoleArn;
  image = taskDefinition.containerDefinitions[0]?.image ?? "";
  registerDefinition(WEB, ["web", "proxy"]);
  registerDefinition(WORKER, ["worker"]);
  for (const name of [WEB, WORKER]) {
    aws("ecs", "create-service", "--cluster", "demo", "--service-name", name, "--task-definition", name, "--desired-count", "1", "--launch-type", "FARGATE", "--network-configuration", JSON.stringify(prod?.networkConfiguration), "--tags", "key=stack,value=shop", "key=stage,value=qa");
  }
});

const checkbox = (page: Page, service: string) => page.getByRole("checkbox", { name: `${service} in the cluster demo` });
const step = (page: Page, title: string) => page.getByRole("heading", { level: 1, name: title });
const proof = (page: Page) => page.getByRole("checkbox", { name: "Connection test in rebuilds" });
const next = (page: Page) => page.getByRole("button", { name: "Next", exact: true }).click();

/** Goes to the second step with the service selected. */
async function select(page: Page, service: string): Promise<void> {
  await page.getByLabel("Find a service").fill(service);
  await checkbox(page, service).click();
  await next(page);
  await expect(step(page, "Name the stage")).toBeVisible();
}

test("refusals are shown where they belong, and nothing that was entered gets lost", async ({ page }) => {
  await page.goto("/register");
  await expect(step(page, "Select services")).toBeVisible();
  await page.getByLabel("Find a service").fill(`${STACK}-prod`);
  await expect(checkbox(page, `${STACK}-prod`)).toBeDisabled();
  await expect(page.getByRole("row", { name: new RegExp(`${STACK}-prod`) })).toContainText(`It belongs to the stage ${STACK}/prod.`);
  await next(page);
  await expect(page.getByText("Select at least one service.", { exact: true })).toBeVisible();
  await checkAccessible(page, "a refused selection");

  await select(page, WEB);
  // Another stage is not registered again by accident.
  await page.getByLabel("Stack", { exact: true }).fill(STACK);
  await page.getByLabel("Stage", { exact: true }).fill("prod");
  await next(page);
  await expect(page.getByText(`The stack ${STACK} already has a stage prod.`)).toBeVisible();
  await page.getByLabel("Stage", { exact: true }).fill("QA");
  await next(page);
  await expect(page.getByText("Must be 1 to 16 lowercase letters, digits, and single hyphens.")).toBeVisible();
  await checkAccessible(page, "a refused name");
  await page.getByLabel("Stage", { exact: true }).fill("unused");

  // The API refuses a job that ECS doesn't know.
  await page.getByRole("button", { name: "Add job" }).click();
  await page.getByRole("textbox", { name: "Task definition family" }).fill("nothing");
  await page.getByLabel("Container", { exact: true }).fill("migrate");
  await next(page);
  await expect(step(page, "Review and register")).toBeVisible();
  await page.getByRole("button", { name: "Register stage" }).click();
  await expect(step(page, "Name the stage")).toBeVisible();
  await expect(page.getByText("Must be a family of task definitions with an active revision.")).toBeVisible();
  await checkAccessible(page, "a refused job");

  await page.reload();
  await expect(page.getByLabel("Stage", { exact: true })).toHaveValue("unused");
  await expect(page.getByRole("textbox", { name: "Task definition family" })).toHaveValue("nothing");
  await page.getByRole("button", { name: "Previous" }).click();
  await expect(page.getByRole("button", { name: /^Container of shop-web/ })).toBeVisible();
  await page.getByRole("button", { name: "Cancel" }).click();
  await expect(page.getByRole("heading", { level: 1, name: /^Stacks/ })).toBeVisible();
});

test("you can register a stage and add a database to it without leaving the page", async ({ page }) => {
  await page.goto("/stacks");
  await page.getByRole("link", { name: "Register a stage" }).click();
  await expect(step(page, "Select services")).toBeVisible();
  // A family of the service's task definition, a cluster, and a suggested name are found, too.
  await page.getByLabel("Find a service").fill("qa");
  await checkbox(page, WEB).click();
  await expect(page.getByRole("heading", { name: /^Selected services/ })).toContainText("(1)");
  const container = page.getByRole("button", { name: /^Container of shop-web/ });
  await expect(container).toContainText("web");
  await choose(page, container, "proxy");
  await expect(container).toContainText("proxy");
  await choose(page, container, /^web/);
  await checkAccessible(page, "selected services");
  await next(page);
  await expect(page.getByLabel("Stack", { exact: true })).toHaveValue("shop");
  await expect(page.getByLabel("Stage", { exact: true })).toHaveValue("qa");
  // The connection test can be skipped from the start.
  await expect(proof(page)).toBeChecked();
  await proof(page).click();
  await expect(page.getByText("Rebuilds publish without connecting first.")).toBeVisible();
  await checkAccessible(page, "the names of a stage");
  await next(page);
  await expect(page.getByText("Skipped", { exact: true })).toBeVisible();
  await page.getByRole("button", { name: "Previous" }).click();
  await proof(page).click();
  await next(page);
  await expect(page.getByText("Required", { exact: true })).toBeVisible();
  await expect(step(page, "Review and register")).toBeVisible();
  await expect(page.getByRole("table", { name: "Services" }).getByRole("row", { name: new RegExp(WEB) })).toContainText("web");
  await checkAccessible(page, "the review of a registration");
  await page.getByRole("button", { name: "Register stage" }).click();

  await expect(page.getByRole("heading", { level: 1, name: "Stage details" })).toBeVisible();
  expect(new URL(page.url()).pathname).toBe(PATH);
  const add = page.getByRole("link", { name: "Add a database" });
  // The registration may be complete before the page looks.
  await expect(page.getByRole("heading", { name: "Rebuilding the stage" }).or(add).first()).toBeVisible();
  await expect(add).toBeVisible({ timeout: 90_000 });
  await checkAccessible(page, "a registered stage");
  await add.click();
  await expect(page.getByRole("heading", { name: "New Postgres database" })).toBeVisible();
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await reviewAndSave(page);
  await waitForCompletion(page, "qa", "shop");
  await expect(page.getByText("shop-qa-postgres").first()).toBeVisible();
  expect(secretsOf(WEB, "web")).toContain("PG_HOST");
  expect(secretsOf(WEB, "proxy")).toEqual([]);
});

test("you can add a service to a stage and remove it again", async ({ page }) => {
  await page.goto(PATH);
  const services = page.getByRole("table", { name: "Services" });
  await page.getByRole("link", { name: "Edit services and jobs" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Services and jobs" })).toBeVisible();
  await page.getByLabel("Find a service").fill("shop");
  await expect(checkbox(page, WEB)).toBeChecked();
  await checkbox(page, WORKER).click();
  await checkAccessible(page, "the services of a stage");
  const dialog = page.getByRole("dialog", { name: "Save services and jobs?" });
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(dialog.getByText(`${WORKER} gets the runtime variables`)).toBeVisible();
  await checkAccessible(page, "the dialog that changes services");
  await dialog.getByRole("button", { name: "Save and rebuild" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Stage details" })).toBeVisible();
  await waitForCompletion(page, "qa", "shop");
  await expect(services.getByRole("row", { name: new RegExp(WORKER) })).toContainText("OK");
  await expect(page.getByText(`Containers of ${WORKER}`, { exact: true })).toBeVisible();
  expect(secretsOf(WORKER, "worker")).toContain("PG_HOST");
  await page.getByRole("link", { name: "Runtime variables" }).click();
  const variables = page.getByRole("grid", { name: `Runtime variables of ${WORKER}` });
  await expect(variables.getByRole("row", { name: /PG_HOST/ })).toBeVisible();

  await page.getByRole("link", { name: "Stage details" }).click();
  await page.getByRole("link", { name: "Edit services and jobs" }).click();
  await page.getByRole("button", { name: `Remove ${WORKER} from the selection` }).click();
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(dialog.getByText(`${WORKER} loses its runtime variables`)).toBeVisible();
  await dialog.getByRole("button", { name: "Save and rebuild" }).click();
  await waitForCompletion(page, "qa", "shop");
  await expect(services.getByRole("row", { name: new RegExp(WEB) })).toBeVisible();
  await expect(services.getByRole("row", { name: new RegExp(WORKER) })).toBeHidden();
  expect(secretsOf(WORKER, "worker")).toEqual([]);
});

test("with the switch off, a deployment without variables is explained, and you can restore them", async ({ page }) => {
  await page.goto(PATH);
  const restores = page.getByRole("checkbox", { name: /^Restore variables after a deployment/ });
  await expect(restores).toBeChecked();
  await restores.click();
  await expect(restores).not.toBeChecked();
  await expect(restores).toBeEnabled({ timeout: 90_000 });
  await page.reload();
  await expect(restores).not.toBeChecked();
  await expect(restores).toBeEnabled({ timeout: 90_000 });

  registerDefinition(WEB, ["web", "proxy"]);
  aws("ecs", "update-service", "--cluster", "demo", "--service", WEB, "--task-definition", WEB);
  await page.getByRole("link", { name: "Runtime variables" }).click();
  await expect(page.getByText(`${WEB} lacks runtime variables`)).toBeVisible();
  await expect(page.getByText("The stage doesn't restore variables on its own.")).toBeVisible();
  await checkAccessible(page, "missing variables");
  await page.getByRole("button", { name: "Restore variables" }).click();
  await expect(page.getByText(/was deployed without the variables; restored in :\d+ at \d\d:\d\d UTC/)).toBeVisible({ timeout: 60_000 });
  await expect(page.getByText(`${WEB} lacks runtime variables`)).toBeHidden();
  const variables = page.getByRole("grid", { name: `Runtime variables of ${WEB}` });
  await expect(variables.getByRole("row", { name: /PG_HOST/ })).toBeVisible();
  await expect(page.getByRole("button", { name: "Restore variables" })).toBeHidden();
  await checkAccessible(page, "restored variables");
  expect(secretsOf(WEB, "web")).toContain("PG_HOST");
});

test("skipping the connection test needs a confirmation, and other changes keep it", async ({ page }) => {
  await page.goto(PATH);
  const dialog = page.getByRole("dialog", { name: "Skip the connection test in rebuilds?" });
  await expect(proof(page)).toBeChecked();
  await expect(proof(page)).toBeEnabled({ timeout: 90_000 });
  await proof(page).click();
  await expect(dialog.getByText("Choose this only if no client task can run in your services' network.")).toBeVisible();
  await checkAccessible(page, "the dialog that skips connection tests");
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await expect(proof(page)).toBeChecked();
  await proof(page).click();
  await dialog.getByRole("button", { name: "Skip the test" }).click();
  await expect(proof(page)).not.toBeChecked();
  await expect(proof(page)).toBeEnabled({ timeout: 90_000 });
  await page.reload();
  await expect(proof(page)).not.toBeChecked();

  const restores = page.getByRole("checkbox", { name: /^Restore variables after a deployment/ });
  await expect(restores).toBeEnabled({ timeout: 90_000 });
  await expect(restores).not.toBeChecked();
  await restores.click();
  await expect(restores).toBeChecked();
  await expect(restores).toBeEnabled({ timeout: 90_000 });
  await expect(proof(page)).not.toBeChecked();
  await proof(page).click();
  await expect(proof(page)).toBeChecked();
  await expect(proof(page)).toBeEnabled({ timeout: 90_000 });
});

test("you can deregister a stage after you remove its database", async ({ page }) => {
  await page.goto(PATH);
  const deregister = page.getByRole("button", { name: "Deregister stage" });
  await expect(deregister).toHaveAttribute("aria-disabled", "true");
  await expect(deregister).toHaveAccessibleDescription("Remove or detach the stage's database first.");

  await page.getByRole("link", { name: "Database", exact: true }).click();
  await page.getByRole("button", { name: "Remove database" }).click();
  await page.getByLabel(/to confirm/).fill("shop-qa-postgres");
  await page.getByRole("dialog").getByRole("button", { name: "Remove database" }).click();
  await waitForCompletion(page, "qa", "shop");
  await page.getByRole("link", { name: "Stage details" }).click();
  await deregister.click();
  const dialog = page.getByRole("dialog", { name: "Deregister shop qa?" });
  await expect(dialog.getByRole("button", { name: "Deregister stage" })).toBeDisabled();
  await dialog.getByLabel(/to confirm/).fill("qa");
  await checkAccessible(page, "the dialog that deregisters a stage");
  await dialog.getByRole("button", { name: "Deregister stage" }).click();
  await expect(page.getByRole("heading", { level: 1, name: /^Stacks/ })).toBeVisible();
  await expect(page.getByText("The stage shop qa is being deregistered.")).toBeVisible();
  await expect(page.getByRole("link", { name: "Database for shop qa" })).toBeHidden({ timeout: 90_000 });
});
