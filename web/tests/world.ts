/** Helpers for the browser tests. */
import { execFileSync } from "node:child_process";
import { AxeBuilder } from "@axe-core/playwright";
import { expect, test as base, type Locator, type Page } from "@playwright/test";

function environment(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} isn't set. Run these tests with \`cargo local test --page\`.`);
  return value;
}

export const USERNAME = environment("STAGEDB_USERNAME");
export const PASSWORD = environment("STAGEDB_PASSWORD");
export const STACK = "test-django2";

const ENDPOINT = environment("STAGEDB_ENDPOINT");
const PORT = new URL(ENDPOINT).port;

/** Runs `cargo local …` against the local AWS of these tests. */
export function local(command: string, ...rest: string[]): string {
  const program = environment("STAGEDB_PROGRAM");
  return execFileSync(program, [command, "--port", PORT, ...rest], {
    encoding: "utf8",
    cwd: "..",
    stdio: ["ignore", "pipe", "pipe"],
  });
}

export function aws(...rest: string[]): Record<string, unknown> {
  const said = local("aws", ...rest);
  return said.trim() === "" ? {} : (JSON.parse(said) as Record<string, unknown>);
}

/** Controls the local AWS, such as its timings and faults. */
export async function control(method: string, path: string, body?: unknown): Promise<void> {
  const answer = await fetch(`${ENDPOINT}/_local/${path}`, { method, body: body === undefined ? null : JSON.stringify(body) });
  expect(answer.ok, await answer.text()).toBe(true);
}

export async function signIn(page: Page, password = PASSWORD, username = USERNAME): Promise<void> {
  await page.locator("input[name=username]").fill(username);
  await page.locator("input[name=password]").fill(password);
  await page.locator("[type=submit]").click();
}

export type Role = "viewer" | "editor" | "admin";

export const emailOf = (role: Role) => `${role}@example.com`;

const created = new Set<Role>();

/** Creates a user in the group of this role, if there is none yet. */
function createUser(role: Role): void {
  if (created.has(role)) return;
  const user = ["--user-pool-id", environment("STAGEDB_USER_POOL"), "--username", emailOf(role)];
  const attributes = [`Name=email,Value=${emailOf(role)}`, "Name=email_verified,Value=true"];
  aws("cognito-idp", "admin-create-user", ...user, "--message-action", "SUPPRESS", "--user-attributes", ...attributes);
  aws("cognito-idp", "admin-set-user-password", ...user, "--password", PASSWORD, "--permanent");
  aws("cognito-idp", "admin-add-user-to-group", ...user, "--group-name", `stagedb-${role}`);
  created.add(role);
}

/** Signs in as a user with this role. The page must be of a context without a session. */
export async function signInAs(page: Page, role: Role, path = "/stacks"): Promise<void> {
  createUser(role);
  await page.goto(path);
  await signIn(page, PASSWORD, emailOf(role));
  await expect(page.getByRole("button", { name: emailOf(role) })).toBeVisible();
}

/** A test fails if the browser logs a warning or an error. */
export const test = base.extend<{ page: Page }>({
  page: async ({ page }, provide) => {
    const complaints = listen(page);
    await provide(page);
    expect(complaints, "the browser's console is silent").toEqual([]);
  },
});

/** Collects the page's console messages, except API refusals, which the browser logs as failed requests. */
export function listen(page: Page): string[] {
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (!["error", "warning"].includes(message.type())) return;
    // The local login page has no icon. The one on AWS does.
    if (message.location().url === `${ENDPOINT}/favicon.ico`) return;
    // When a session ends, Cognito rejects the renewal.
    if (message.text().includes('status of 400') && message.location().url.endsWith("/oauth2/token")) return;
    const refusal = /status of (403|409|412|422|400)/.test(message.text());
    if (refusal && message.location().url.includes("/api/")) return;
    complaints.push(`${message.type()}: ${message.text()} (${message.location().url})`);
  });
  page.on("pageerror", (error) => complaints.push(`exception: ${error.message}`));
  return complaints;
}

export { expect };

export const stagePath = (stage: string, rest = "") => `/stacks/${STACK}/stages/${stage}${rest}`;

/** Checks for violations of WCAG 2.2 levels A and AA, and for content wider than the screen. */
export async function checkAccessible(page: Page, what: string): Promise<void> {
  const { violations } = await new AxeBuilder({ page })
    .withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"])
    .analyze();
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.target.join(" ")).join(", ")}`);
  expect(found, what).toEqual([]);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  expect(wide, `${what} fits into its width`).toBeLessThanOrEqual(0);
}

/** Checks the save dialog, then saves. */
export async function reviewAndSave(page: Page): Promise<void> {
  const card = page.getByRole("dialog", { name: "Review and save" });
  await expect(card.getByText("may not be accessible on this stage until the rebuild and redeploy have completed")).toBeVisible();
  await checkAccessible(page, "the save dialog");
  await card.getByRole("button", { name: "Save and rebuild" }).click();
  await expect(card).toBeHidden();
}

export async function waitForCompletion(page: Page, stage: string, stack = STACK): Promise<void> {
  // The notification of an earlier rebuild may still be shown, so wait until this rebuild is visible first.
  const running = page.getByRole("heading", { name: "Rebuilding the stage" });
  await expect(running).toBeVisible();
  // A save shortly after another one waits up to 15 s for its turn.
  await expect(running).toBeHidden({ timeout: 90_000 });
  await expect(page.getByText(`The rebuild of ${stack} ${stage} is complete.`)).toBeVisible();
}

/** Chooses an option in a Cloudscape select. */
export async function choose(page: Page, field: Locator, entry: RegExp | string): Promise<void> {
  await field.click();
  await page.getByRole("option", { name: entry }).first().click();
}
