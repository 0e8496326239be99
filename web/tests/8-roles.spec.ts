import type { Browser, Locator, Page } from "@playwright/test";
import { checkAccessible, choose, emailOf, expect, listen, type Role, signInAs, STACK, stagePath, test, USERNAME } from "./world";

test.describe.configure({ mode: "serial" });
test.use({ storageState: { cookies: [], origins: [] } });

const ADMINS = `Admins are the members of the groups stagedb-admin and stagedb-admin:${STACK}.`;
const EDITORS = `Editors are the members of the groups stagedb-editor and stagedb-editor:${STACK}.`;

/** Runs `run` in a window of its own, in which a user with this role is signed in. */
async function as(browser: Browser, role: Role, path: string, run: (page: Page) => Promise<void>): Promise<void> {
  const context = await browser.newContext({ storageState: { cookies: [], origins: [] } });
  try {
    const page = await context.newPage();
    const complaints = listen(page);
    await signInAs(page, role, path);
    await run(page);
    expect(complaints, "the browser's console is silent").toEqual([]);
  } finally {
    await context.close();
  }
}

/** Checks that a button is disabled, and that its tooltip says why. */
async function expectLocked(page: Page, button: Locator, reason: string): Promise<void> {
  await expect(button).toHaveAttribute("aria-disabled", "true");
  // While the page is still loading, the button can move away from under the mouse.
  await expect(async () => {
    await page.mouse.move(0, 0);
    await button.hover();
    await expect(page.getByRole("tooltip").getByText(reason)).toBeVisible({ timeout: 2_000 });
  }).toPass({ timeout: 15_000 });
  await page.mouse.move(0, 0);
}

async function checkInBothModes(page: Page, what: string): Promise<void> {
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await checkAccessible(page, `${what}, ${colorScheme}`);
  }
  await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
}

const rowsOf = (page: Page) => page.getByRole("table", { name: "History" }).getByRole("row");

test("a viewer sees everything, and why changes are disabled", async ({ page }) => {
  await signInAs(page, "viewer", stagePath("dev", "/database"));
  await expect(page.getByRole("heading", { level: 1, name: "Database" })).toBeVisible();
  await expect(page.getByText(`Only editors and admins can do this, and your role is viewer. ${EDITORS}`).filter({ visible: true }).first()).toBeVisible();
  await expectLocked(page, page.getByRole("button", { name: "Save", exact: true }), "Only editors and admins can do this");
  await expectLocked(page, page.getByRole("button", { name: "Remove database" }), ADMINS);
  await expectLocked(page, page.getByRole("button", { name: "Rotate password" }), "Only editors and admins can do this");
  await checkInBothModes(page, "the database of a viewer");

  await page.getByRole("link", { name: "Stage details" }).click();
  await expectLocked(page, page.getByRole("button", { name: "Rebuild stage" }), EDITORS);
  await expectLocked(page, page.getByRole("button", { name: "Protect stage" }), ADMINS);
  await expect(page.getByRole("checkbox", { name: /Restore variables/ })).toBeDisabled();
  await expect(page.getByRole("checkbox", { name: "Connection test in rebuilds" })).toBeDisabled();

  await page.getByRole("link", { name: "History", exact: true }).click();
  await expect(page.getByRole("heading", { level: 1, name: "History" })).toBeVisible();
  await expect(rowsOf(page).filter({ hasText: "Saved the database settings" }).first()).toContainText(USERNAME);
  await checkInBothModes(page, "the history");

  await page.getByRole("button", { name: emailOf("viewer") }).click();
  await expect(page.getByText("Viewer", { exact: true }).filter({ visible: true }).first()).toBeVisible();
});

test("a viewer can't test a connection, and sees why", async ({ page }) => {
  await signInAs(page, "viewer", stagePath("prod", "/database/add"));
  await page.getByRole("radio", { name: /Existing AWS database/ }).click();
  await expectLocked(page, page.getByRole("button", { name: "Test connection" }), "Only editors and admins can do this");
});

test("an admin protects a stage, and then an editor can't change it", async ({ page, browser }) => {
  await signInAs(page, "admin", stagePath("dev"));
  await page.getByRole("button", { name: "Protect stage" }).click();
  await expect(page.getByText(`The stage ${STACK} dev is protected.`)).toBeVisible();
  await expect(page.getByText("Protected", { exact: true })).toBeVisible();
  await expect(page.getByRole("button", { name: "End protection" })).toBeEnabled();
  await checkInBothModes(page, "a protected stage");

  await as(browser, "editor", stagePath("dev", "/database"), async (editor) => {
    const reason = `The stage is protected, so only admins can do this, and your role is editor. ${ADMINS}`;
    await expect(editor.getByText("Protected", { exact: true })).toBeVisible();
    await expect(editor.getByText(reason).filter({ visible: true }).first()).toBeVisible();
    await expectLocked(editor, editor.getByRole("button", { name: "Save", exact: true }), reason);

    // The page only shows it. It's the API that refuses.
    const asked = editor.waitForRequest((request) => new URL(request.url()).pathname === "/api/me");
    await editor.reload();
    const { authorization = "" } = await (await asked).allHeaders();
    const answer = await editor.evaluate(
      async ([path, token]) => {
        const body = JSON.stringify({ source: "created", instanceClass: "db.t4g.medium", storageGiB: 100 });
        const headers = { authorization: token, "content-type": "application/json" };
        const response = await fetch(path, { method: "PUT", headers, body });
        return { status: response.status, body: (await response.json()) as unknown };
      },
      [`/api${stagePath("dev", "/database")}`, authorization] as const,
    );
    expect(answer).toMatchObject({ status: 403, body: { type: "urn:stagedb:problem:forbidden", detail: reason } });

    // An unprotected stage of the same stack can be changed.
    await editor.goto(stagePath("prod", "/database"));
    await expect(editor.getByRole("link", { name: "Add database" })).toBeVisible();
  });
});

test("the history shows who did what, and the filters narrow it down", async ({ page }) => {
  await signInAs(page, "viewer", stagePath("dev", "/history"));
  const protection = rowsOf(page).filter({ hasText: "Protected the stage" }).first();
  await expect(protection).toContainText(emailOf("admin"));
  await expect(protection).toContainText("Protected: No → Yes");
  await expect(protection).toContainText("Complete");
  const denied = rowsOf(page).filter({ hasText: "Tried to save the database settings" }).first();
  await expect(denied).toContainText(emailOf("editor"));
  await expect(denied).toContainText("The stage is protected, so only admins can do this");

  await choose(page, page.getByRole("button", { name: /^Records/ }), "Denied attempts");
  await expect(denied).toBeVisible();
  await expect(protection).toBeHidden();
  await page.getByLabel("Email address or user ID").fill(emailOf("admin"));
  await page.keyboard.press("Enter");
  await expect(page.getByText("No matches")).toBeVisible();
  expect(new URL(page.url()).search).toBe(`?kind=denied&who=${encodeURIComponent(emailOf("admin"))}`);

  // A reload keeps the filters.
  await page.reload();
  await expect(page.getByLabel("Email address or user ID")).toHaveValue(emailOf("admin"));
  await expect(page.getByText("No matches")).toBeVisible();
  await checkInBothModes(page, "a history without matches");
  await page.getByRole("button", { name: "Clear filters" }).click();
  await choose(page, page.getByRole("button", { name: /^Operation/ }), "Change the protection");
  await expect(protection).toBeVisible();
  await expect(denied).toBeHidden();
});

test("an admin ends the protection after a confirmation", async ({ page }) => {
  await signInAs(page, "admin", stagePath("dev"));
  await page.getByRole("button", { name: "End protection" }).click();
  const card = page.getByRole("dialog", { name: `End the protection of ${STACK} dev?` });
  await checkInBothModes(page, "the dialog that ends a protection");
  await card.getByRole("button", { name: "End protection" }).click();
  await expect(card).toBeHidden();
  await expect(page.getByRole("button", { name: "Protect stage" })).toBeEnabled();
  await expect(page.getByText("Protected", { exact: true })).toBeHidden();
});

test("the database shows its last change and the author", async ({ page }) => {
  await signInAs(page, "viewer", stagePath("dev", "/database"));
  await expect(page.getByText(new RegExp(`^Last changed by ${USERNAME.replaceAll(/[.+]/g, "\\$&")} on .* UTC: `))).toBeVisible();
  await page.getByRole("link", { name: "View history" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "History" })).toBeVisible();
});

test("the database is shown even if the history can't be read", async ({ page }) => {
  await page.route("**/history?*", (route) => route.fulfill({ status: 409, json: {} }));
  await signInAs(page, "viewer", stagePath("dev", "/database"));
  await expect(page.getByRole("heading", { level: 1, name: "Database" })).toBeVisible();
  await expect(page.getByText(/^Last changed by/)).toBeHidden();
});

test("a user without a role sees what to ask for, and nothing is requested for them", async ({ page }) => {
  const asked: string[] = [];
  page.on("request", (request) => {
    const { pathname } = new URL(request.url());
    if (pathname.startsWith("/api/")) asked.push(pathname);
  });
  await page.route("**/api/me", (route) =>
    route.fulfill({ json: { subject: "someone", email: emailOf("viewer"), stacks: [] } }),
  );
  await signInAs(page, "viewer", stagePath("dev", "/database"));
  await expect(page.getByRole("heading", { level: 1, name: "You don't have access" })).toBeVisible();
  for (const group of ["stagedb-viewer", "stagedb-editor", "stagedb-admin"]) {
    await expect(page.getByText(group, { exact: true })).toBeVisible();
  }
  await checkInBothModes(page, "no access");
  expect([...new Set(asked)]).toEqual(["/api/me"]);
  await page.getByRole("button", { name: "Sign out", exact: true }).click();
  await expect(page.locator("input[name=password]")).toBeVisible();
});

test("a user with a role on another stack sees that this one isn't theirs", async ({ page }) => {
  await page.route("**/api/me", (route) =>
    route.fulfill({
      json: { subject: "someone", email: emailOf("viewer"), stacks: [{ stack: "another", role: "editor" }] },
    }),
  );
  await signInAs(page, "viewer", stagePath("dev"));
  await expect(page.getByRole("heading", { level: 1, name: `You don't have access to ${STACK}` })).toBeVisible();
  await expect(page.getByText(`stagedb-editor:${STACK}`)).toBeVisible();
});

test("signing out everywhere ends the session of another window at its next renewal", async ({ page, browser }) => {
  const context = await browser.newContext({ storageState: { cookies: [], origins: [] } });
  const other = await context.newPage();
  // The first token of the other window is renewed when it has less than 30 seconds left.
  await other.route("**/oauth2/token", async (route) => {
    const answer = await route.fetch();
    if ((route.request().postData() ?? "").includes("grant_type=refresh_token")) await route.fulfill({ response: answer });
    else await route.fulfill({ response: answer, json: { ...((await answer.json()) as object), expires_in: 60 } });
  });
  await signInAs(other, "editor", stagePath("prod", "/database"));

  await signInAs(page, "editor");
  await page.getByRole("button", { name: emailOf("editor") }).click();
  await page.getByRole("menuitem", { name: "Sign out everywhere" }).click();
  const card = page.getByRole("dialog", { name: "Sign out everywhere?" });
  await expect(card.getByText("Access tokens stay valid until they expire")).toBeVisible();
  await checkInBothModes(page, "the dialog that signs out everywhere");
  await card.getByRole("button", { name: "Sign out everywhere" }).click();
  await expect(page.locator("input[name=password]")).toBeVisible();

  await expect(other.getByRole("dialog", { name: "Your session has ended" })).toBeVisible({ timeout: 60_000 });
  await context.close();
});
