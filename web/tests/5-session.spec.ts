import { checkAccessible, expect, signIn, stagePath, test } from "./world";
import type { Page } from "@playwright/test";

/** Limits the lifetime of the page's tokens to `seconds`. If `refused` is true, Cognito also rejects every renewal. */
async function shortSession(page: Page, seconds: number, refused: boolean): Promise<void> {
  await page.route("**/oauth2/token", async (route) => {
    const renewal = (route.request().postData() ?? "").includes("grant_type=refresh_token");
    const answer = await route.fetch();
    const headers = { "access-control-allow-origin": "*" };
    if (renewal && refused) await route.fulfill({ status: 400, json: { error: "invalid_grant" }, headers });
    else if (renewal) await route.fulfill({ response: answer });
    else await route.fulfill({ response: answer, json: { ...((await answer.json()) as object), expires_in: seconds } });
  });
}

test("edits in a form are kept when the session ends", async ({ page, context }) => {
  // A token is renewed when it has less than 30 seconds left.
  await shortSession(page, 36, true);
  await page.goto(stagePath("prod", "/database/add"));
  await page.getByLabel("Database name").fill("kept");
  await page.getByLabel("Storage (GiB)", { exact: true }).fill("27");
  await context.clearCookies();
  const ended = page.getByRole("dialog", { name: "Your session has ended" });
  await expect(ended).toBeVisible({ timeout: 40_000 });
  await checkAccessible(page, "the end of a session");

  const opened = context.waitForEvent("page");
  await ended.getByRole("button", { name: "Sign in again" }).last().click();
  await signIn(await opened);
  await expect(ended).toBeHidden();
  await expect(page.getByLabel("Database name")).toHaveValue("kept");
  await expect(page.getByLabel("Storage (GiB)", { exact: true })).toHaveValue("27");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  const card = page.getByRole("dialog", { name: "Review and save" });
  await expect(card.getByRole("row", { name: /Database name/ })).toContainText("kept");
  await card.getByRole("button", { name: "Cancel" }).click();
  await expect(page.getByLabel("Storage (GiB)", { exact: true })).toHaveValue("27");
  await page.context().storageState({ path: "test-results/signed-in.json" });
});

test("a token that is about to expire is renewed without asking the user", async ({ page }) => {
  await shortSession(page, 33, false);
  const renewed = page.waitForRequest((request) => (request.postData() ?? "").includes("grant_type=refresh_token"), {
    timeout: 40_000,
  });
  await page.goto(stagePath("prod", "/database"));
  await renewed;
  await page.getByRole("link", { name: "Runtime variables" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Runtime variables" })).toBeVisible();
});
