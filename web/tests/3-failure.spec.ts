import { checkAccessible, control, expect, reviewAndSave, stagePath, test, waitForCompletion } from "./world";

test("a failed rebuild shows its reason and the next step, and you can retry it with one button", async ({ page }) => {
  await control("PUT", "faults", [
    {
      service: "rds",
      operation: "CreateDBInstance",
      code: "InsufficientDBInstanceCapacity",
      message: "There is no capacity for db.t4g.micro in this zone",
      times: 1,
    },
  ]);
  await page.goto(stagePath("prod", "/database/add"));
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await reviewAndSave(page);
  await expect(page.getByText("The last rebuild failed and was rolled back")).toBeVisible({ timeout: 60_000 });
  await expect(page.getByText("There is no capacity for db.t4g.micro in this zone").first()).toBeVisible();
  await expect(page.getByText(/What to do next:/)).toBeVisible();
  await page.getByRole("button", { name: "AWS message" }).click();
  await expect(page.getByRole("region", { name: "AWS message" })).toContainText("db.t4g.micro");
  await checkAccessible(page, "a failed rebuild");

  // The message is still there after a reload.
  await page.reload();
  await page.getByRole("button", { name: "Retry change" }).click();
  await reviewAndSave(page);
  await waitForCompletion(page, "prod");
  await expect(page.getByText("The last rebuild failed")).toBeHidden();

  await page.getByRole("button", { name: "Remove database" }).click();
  await page.getByLabel(/to confirm/).fill("test-django2-prod-postgres");
  await page.getByRole("dialog").getByRole("button", { name: "Remove database" }).click();
  await waitForCompletion(page, "prod");
});
