/** For `cargo local screenshots`: takes the README's screenshots of the current page. */
import { aws, choose, control, expect, reviewAndSave, STACK, stagePath, test, waitForCompletion } from "./world";

test("the README's screenshots", async ({ page }) => {
  test.setTimeout(180_000);
  await page.setViewportSize({ width: 1280, height: 820 });
  await page.goto(stagePath("dev", "/database/add"));
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await control("PUT", "timings", { rds_create_seconds: 12 });
  await reviewAndSave(page);
  await expect(page.getByText("RDS is working on the database")).toBeVisible({ timeout: 30_000 });
  await page.waitForTimeout(4000);
  await page.screenshot({ path: "../docs/rebuild.png" });
  await waitForCompletion(page, "dev");

  // A day of metrics, as CloudWatch would have recorded them.
  const now = Date.now();
  for (const [name, value] of [
    ["CPUUtilization", (x: number) => 22 + 18 * Math.sin(x / 9) + 6 * Math.sin(x / 2)],
    ["DatabaseConnections", (x: number) => Math.round(9 + 6 * Math.sin(x / 9))],
    ["FreeStorageSpace", (x: number) => (17 - x / 60) * 1024 ** 3],
  ] as const) {
    const data = Array.from({ length: 95 }, (_, x) => ({
      MetricName: name,
      Dimensions: [{ Name: "DBInstanceIdentifier", Value: `${STACK}-dev-postgres` }],
      Timestamp: new Date(now - (95 - x) * 900_000).toISOString(),
      Value: value(x),
    }));
    aws("cloudwatch", "put-metric-data", "--namespace", "AWS/RDS", "--metric-data", JSON.stringify(data));
  }
  await page.setViewportSize({ width: 1280, height: 1760 });
  await page.goto(stagePath("dev", "/database"));
  await expect(page.getByRole("application", { name: "Peak CPU utilization" }).or(page.getByLabel("Peak CPU utilization")).first()).toBeVisible();
  await choose(page, page.getByRole("button", { name: /^Instance class/ }), /db\.t4g\.small/);
  await expect(page.getByText("db.t4g.small").first()).toBeVisible();
  await page.evaluate(() => scrollTo(0, 0));
  await page.waitForTimeout(500);
  await page.screenshot({ path: "../docs/database.png" });
  await page.getByRole("button", { name: "Discard changes" }).click();
});
