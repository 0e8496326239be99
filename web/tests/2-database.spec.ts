import { checkAccessible, choose, control, expect, local, reviewAndSave, STACK, stagePath, test, waitForCompletion } from "./world";

test.describe.configure({ mode: "serial" });

test.beforeAll(() => control("PUT", "timings", { rds_create_seconds: 3 }));
test.afterAll(() => control("PUT", "timings", { rds_create_seconds: 0.5 }));

test("from the stacks through the gear to a new database, which is watched until it is done", async ({ page }) => {
  await page.goto("/");
  await page.getByRole("link", { name: `Settings of ${STACK}` }).click();
  await expect(page.getByRole("heading", { name: "Add a database" })).toBeVisible();
  await checkAccessible(page, "no database");
  await page.getByRole("link", { name: "Add database" }).click();
  await expect(page.getByRole("heading", { name: "New Postgres database" })).toBeVisible();

  // A class says what it has.
  await page.getByRole("button", { name: /^Instance type/ }).click();
  await page.getByPlaceholder("Find an instance type").fill("t4g.small");
  const option = page.getByRole("option", { name: /db\.t4g\.small/ });
  await expect(option).toContainText("2 vCPU, 2 GiB memory");
  await page.keyboard.press("Escape");

  // What is wrong stands at its field.
  await page.getByLabel("Database name").fill("App");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(page.getByText("Must be 1 to 63 characters: a lower-case letter")).toBeVisible();
  await checkAccessible(page, "an error at a field");
  await page.getByLabel("Database name").fill("app");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await reviewAndSave(page);

  await expect(page.getByRole("heading", { name: "Rebuilding the stage" })).toBeVisible();
  await expect(page.getByRole("progressbar")).toBeVisible();
  await checkAccessible(page, "a rebuild");
  await page.reload();
  await expect(page.getByRole("heading", { name: "Rebuilding the stage" })).toBeVisible();
  await waitForCompletion(page, "dev");
  await expect(page.getByText(`${STACK}-dev-postgres`).first()).toBeVisible();
  await expect(page.getByText("Available").first()).toBeVisible();
});

test("the containers have the variables, and the Node example connects with them", async ({ page }) => {
  await page.goto(stagePath("dev", "/database"));
  await page.getByRole("tab", { name: "Node.js" }).click();
  await expect(page.getByText("process.env.PG_HOST")).toBeVisible();
  await page.getByRole("link", { name: "Runtime variables" }).click();
  for (const name of ["PG_HOST", "PG_PORT", "PG_DATABASE", "PG_USER", "PG_CREDENTIALS_SECRET"]) {
    await expect(page.getByRole("row", { name: new RegExp(name) })).toBeVisible();
  }
  await expect(page.getByRole("row", { name: /PG_HOST/ })).toContainText(`dev-${STACK}-postgres`);
  await checkAccessible(page, "runtime variables");
  expect(local("run", STACK, "dev", "--", "node", "examples/node/main.js")).toContain("connected to app as postgres");
});

test("storage that grows too little is refused at its field", async ({ page }) => {
  await page.goto(stagePath("dev", "/database"));
  await page.getByLabel("Storage size").fill("21");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(page.getByText(/Must grow by at least 10 %, to 22 GiB or more/)).toBeVisible();
  await page.getByRole("button", { name: "Discard changes" }).click();
});

test("a change is reviewed with its effect, saved, and shown", async ({ page }) => {
  await page.goto(stagePath("dev", "/database"));
  await choose(page, page.getByRole("button", { name: /^Instance type/ }), /db\.t4g\.small/);
  await page.getByLabel("Storage size").fill("30");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  const card = page.getByRole("dialog", { name: "Review and save" });
  await expect(card.getByRole("row", { name: /Instance type/ })).toContainText("Interrupts the database");
  await expect(card.getByRole("row", { name: /Storage/ })).toContainText("20");
  await expect(card.getByText("This cannot be undone")).toBeVisible();
  await reviewAndSave(page);
  await waitForCompletion(page, "dev");
  await expect(page.getByText("db.t4g.small").first()).toBeVisible();
  await expect(page.getByText("30 GiB", { exact: true })).toBeVisible();
});

test("a second change of the storage is refused, with the time from which it is possible", async ({ page }) => {
  await page.goto(stagePath("dev", "/database"));
  await page.getByLabel("Storage size").fill("40");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(page.getByText("This cannot be saved now")).toBeVisible();
  await expect(page.getByText(/takes the next change at the earliest at 20/)).toBeVisible();
  await checkAccessible(page, "a refusal");

  // What was typed is still there after another screen, and can be thrown away.
  await page.getByRole("link", { name: "Stage details" }).click();
  await page.goBack();
  await expect(page.getByLabel("Storage size")).toHaveValue("40");
  await page.getByRole("button", { name: "Discard changes" }).click();
  await expect(page.getByLabel("Storage size")).toHaveValue("30");
});

test("a database is removed after its name was typed, and comes back from its snapshot", async ({ page }) => {
  await page.goto(stagePath("dev", "/database"));
  await page.getByRole("button", { name: "Remove" }).click();
  const card = page.getByRole("dialog", { name: /Remove test-django2-dev-postgres/ });
  await expect(card.getByRole("button", { name: "Remove" })).toBeDisabled();
  await card.getByLabel(/to confirm/).fill(`${STACK}-dev-postgres`);
  await checkAccessible(page, "the removal's card");
  await card.getByRole("button", { name: "Remove" }).click();
  await waitForCompletion(page, "dev");
  await expect(page.getByRole("heading", { name: "Add a database" })).toBeVisible();

  await page.getByRole("link", { name: "Add database" }).click();
  await page.getByRole("radio", { name: /From a snapshot/ }).click();
  await choose(page, page.getByRole("button", { name: /^Snapshot/ }), new RegExp(`${STACK}-dev-postgres-.*30 GiB`));
  await expect(page.getByLabel("Storage size")).toHaveValue("30");
  await checkAccessible(page, "from a snapshot");
  // The old instance may still be on its way out.
  await expect(async () => {
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await expect(page.getByRole("dialog", { name: "Review and save" })).toBeVisible({ timeout: 2000 });
    await expect(page.getByRole("button", { name: "Save and rebuild" })).toBeEnabled({ timeout: 8000 });
  }).toPass({ timeout: 40_000 });
  await reviewAndSave(page);
  await waitForCompletion(page, "dev");
  await expect(page.getByText("30 GiB", { exact: true })).toBeVisible();
});
