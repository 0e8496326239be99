import { checkAccessible, control, expect, reviewAndSave, stagePath, test, waitForCompletion } from "./world";

test("a rebuild that failed says why and what to do, and is tried again with one button", async ({ page }) => {
  await control("PUT", "faults", [
    {
      service: "rds",
      operation: "CreateDBInstance",
      code: "InsufficientDBInstanceCapacity",
      message: "There is no room for a db.t4g.micro here now",
      times: 1,
    },
  ]);
  await page.goto(stagePath("prod", "/database/add"));
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await reviewAndSave(page);
  await expect(page.getByText("The last rebuild failed, and everything was put back as it was")).toBeVisible({ timeout: 60_000 });
  await expect(page.getByText("There is no room for a db.t4g.micro here now").first()).toBeVisible();
  await expect(page.getByText(/What to do:/)).toBeVisible();
  await page.getByRole("button", { name: "What AWS said, word for word" }).click();
  await expect(page.getByRole("region", { name: "What AWS said" })).toContainText("db.t4g.micro");
  await checkAccessible(page, "a failure");

  // It is still there after a reload.
  await page.reload();
  await page.getByRole("button", { name: "Try the change again" }).click();
  await reviewAndSave(page);
  await waitForCompletion(page, "prod");
  await expect(page.getByText("The last rebuild failed")).toBeHidden();

  await page.getByRole("button", { name: "Remove" }).click();
  await page.getByLabel(/to confirm/).fill("test-django2-prod-postgres");
  await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
  await waitForCompletion(page, "prod");
});
