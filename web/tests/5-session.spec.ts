import { checkAccessible, expect, listen, signIn, stagePath, test } from "./world";

test("a session that ends in the middle of a form loses nothing, and what was asked for goes on", async ({ page, context }) => {
  await page.clock.install();
  await page.goto(stagePath("prod", "/database/add"));
  await page.getByLabel("Database name").fill("kept");
  await page.getByLabel("Storage size").fill("27");

  // Hours later: the access token has ended, and Cognito does not renew it.
  await context.clearCookies();
  await page.route("**/oauth2/token", (route) =>
    route.fulfill({ status: 400, json: { error: "invalid_grant" }, headers: { "access-control-allow-origin": "*" } }),
  );
  const complaints = listen(page);
  await page.clock.fastForward("13:00:00");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  const ended = page.getByRole("dialog", { name: "Your session has ended" });
  await expect(ended).toBeVisible();
  await checkAccessible(page, "the end of a session");
  await page.unroute("**/oauth2/token");

  const opened = context.waitForEvent("page");
  await ended.getByRole("button", { name: "Sign in again" }).click();
  const window = await opened;
  await signIn(window);
  await expect(ended).toBeHidden();
  // The card that was asked for appears by itself, and the form is as it was.
  const card = page.getByRole("dialog", { name: "Review and save" });
  await expect(card.getByRole("row", { name: /Database name/ })).toContainText("kept");
  await card.getByRole("button", { name: "Cancel" }).click();
  await expect(page.getByLabel("Database name")).toHaveValue("kept");
  await expect(page.getByLabel("Storage size")).toHaveValue("27");
  // The refused renewal is all that the browser has to say.
  complaints.splice(0);
});

test("a token that the API does not take any more is renewed without a question", async ({ page }) => {
  await page.goto("/stacks");
  await expect(page.getByRole("heading", { name: "Stacks" })).toBeVisible();
  const renewed = page.waitForRequest((request) => request.url().endsWith("/oauth2/token"));
  await page.clock.install({ time: Date.now() + 3_590_000 });
  await page.getByRole("link", { name: "test-django2", exact: true }).click();
  expect((await renewed).postData()).toContain("grant_type=refresh_token");
  await expect(page.getByRole("link", { name: "Add database" }).or(page.getByRole("heading", { name: "Change" })).first()).toBeVisible();
});
