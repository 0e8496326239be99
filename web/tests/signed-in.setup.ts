import { expect, signIn, test } from "./world";

test("sign in once for all tests", async ({ page }) => {
  await page.goto("/");
  await signIn(page);
  await expect(page.getByRole("heading", { name: "Stacks" })).toBeVisible();
  await page.context().storageState({ path: "test-results/signed-in.json" });
});
