import { aws, checkAccessible, choose, control, expect, local, reviewAndSave, STACK, stagePath, test, waitForCompletion } from "./world";

test.describe.configure({ mode: "serial" });

test.beforeAll(() => control("PUT", "timings", { rds_create_seconds: 3 }));
test.afterAll(() => control("PUT", "timings", { rds_create_seconds: 0.5 }));

const ROTATION = "**/api/**/database/rotation";

test("you can create a database from the list of stacks and follow the rebuild to the end", async ({ page }) => {
  await page.goto("/");
  await page.getByRole("link", { name: `Settings for ${STACK}` }).click();
  await expect(page.getByRole("heading", { name: "Add a database" })).toBeVisible();
  await checkAccessible(page, "no database");
  await page.getByRole("link", { name: "Add database" }).click();
  await expect(page.getByRole("heading", { name: "New Postgres database" })).toBeVisible();

  // An instance class shows its vCPUs and memory.
  await page.getByRole("button", { name: /^Instance class/ }).click();
  await page.getByPlaceholder("Find an instance class").fill("t4g.small");
  const option = page.getByRole("option", { name: /db\.t4g\.small/ });
  await expect(option).toContainText("2 vCPUs, 2 GiB memory");
  await page.keyboard.press("Escape");

  // An error is shown at its field.
  await page.getByLabel("Database name").fill("App");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(page.getByText("Must be 1 to 63 characters")).toBeVisible();
  await checkAccessible(page, "a field error");
  await page.getByLabel("Database name").fill("app");
  // The page recommends the app login.
  const appLogin = page.getByRole("checkbox", { name: "App login" });
  await expect(appLogin).toBeChecked();
  // Without the app login, there's no password to rotate.
  const rotation = page.getByLabel("Password rotation (days)");
  await rotation.fill("30");
  await appLogin.click();
  await expect(rotation).toBeDisabled();
  await expect(rotation).toHaveValue("0");
  await expect(page.getByText("Turn on the app login to set this.")).toBeVisible();
  await checkAccessible(page, "a new database without the app login");
  await appLogin.click();
  await expect(rotation).toHaveValue("30");
  await rotation.fill("0");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  const card = page.getByRole("dialog", { name: "Review and save" });
  await expect(card.getByRole("row", { name: /App login/ })).toContainText("Yes");
  await reviewAndSave(page);

  await expect(page.getByRole("heading", { name: "Rebuilding the stage" })).toBeVisible();
  await expect(page.getByRole("progressbar")).toBeVisible();
  await checkAccessible(page, "a rebuild");
  await page.reload();
  await expect(page.getByRole("heading", { name: "Rebuilding the stage" })).toBeVisible();
  await waitForCompletion(page, "dev");
  await expect(page.getByText(`${STACK}-dev-postgres`).first()).toBeVisible();
  await expect(page.getByText("app_1 (app login)")).toBeVisible();
  // The login is set up and the connection is tested before they're published, and each service's containers are a step of
  // their own.
  await page.getByRole("link", { name: "Stage details" }).click();
  await expect(page.getByText("App login", { exact: true })).toBeVisible();
  await expect(page.getByText("Connection test", { exact: true })).toBeVisible();
  for (const service of [`${STACK}-dev`, `${STACK}-dev-worker`]) {
    await expect(page.getByText(`Containers of ${service}`, { exact: true })).toBeVisible();
  }
  await page.getByRole("link", { name: "Database", exact: true }).click();
  await expect(page.getByText("Available").first()).toBeVisible();
});

test("the containers have the runtime variables, and the Node.js example connects with them", async ({ page }) => {
  await page.goto(stagePath("dev", "/database"));
  await page.getByRole("tab", { name: "Node.js" }).click();
  await expect(page.getByText("process.env.PG_HOST")).toBeVisible();
  await page.getByRole("link", { name: "Runtime variables" }).click();
  // Two services and a job.
  for (const holder of [`${STACK}-dev`, `${STACK}-dev-worker`, `${STACK}-dev-migrate`]) {
    const variables = page.getByRole("grid", { name: `Runtime variables of ${holder}`, exact: true });
    for (const name of ["PG_HOST", "PG_PORT", "PG_DATABASE", "PG_USER", "PG_CREDENTIALS_SECRET"]) {
      await expect(variables.getByRole("row", { name: new RegExp(name) })).toBeVisible();
    }
    await expect(variables.getByRole("row", { name: /PG_HOST/ })).toContainText(`dev-${STACK}-postgres`);
  }
  await page.getByRole("tab", { name: "Terraform" }).click();
  await expect(page.getByRole("region", { name: "Terraform" })).toContainText("aws_ssm_parameter");
  await checkAccessible(page, "runtime variables");
  expect(local("run", STACK, "dev", "--", "node", "examples/node/main.js")).toContain("connected to app as app on");
});

test("you can rotate the password of the app login, and immediately after a leak", async ({ page }) => {
  await page.goto(stagePath("dev", "/database"));
  await expect(page.getByText("app_1 (app login)")).toBeVisible();
  const rotate = page.getByRole("button", { name: "Rotate password" });
  // The login from before is disabled shortly after its last container has stopped.
  await expect(rotate).toBeEnabled({ timeout: 90_000 });
  await rotate.click();
  const card = page.getByRole("dialog", { name: "Rotate the password of the app login?" });
  await expect(card.getByText("The other app login, app_2, gets a new password")).toBeVisible();
  await expect(card.getByText("the master user also gets a new password")).toBeVisible();
  await checkAccessible(page, "the dialog that rotates a password");

  // By default, the login from before is disabled last. This request is refused, so nothing starts.
  await expect(card.getByRole("radio", { name: "When the last container with it has stopped" })).toBeChecked();
  const refusal = { type: "urn:stagedb:problem:test", title: "Refused", status: 409, detail: "Not now.", requestId: "" };
  await page.route(ROTATION, (route) => route.fulfill({ status: 409, json: refusal }));
  const usual = page.waitForRequest(ROTATION);
  await card.getByRole("button", { name: "Rotate password" }).click();
  const first = await usual;
  await expect(card.getByText("Not now.")).toBeVisible();
  await page.unroute(ROTATION);

  await card.getByRole("radio", { name: "Immediately, after a leak" }).click();
  await expect(card.getByText("Containers that haven't been replaced yet can't connect")).toBeVisible();
  await checkAccessible(page, "the dialog that rotates a password immediately");
  const immediate = page.waitForRequest(ROTATION);
  await card.getByRole("button", { name: "Rotate and end sessions" }).click();
  const second = await immediate;
  // It's another request, not a repetition of the first one.
  expect(await second.headerValue("idempotency-key")).not.toBe(await first.headerValue("idempotency-key"));
  await expect(card).toBeHidden();
  await waitForCompletion(page, "dev");
  await expect(page.getByText("app_2 (app login)")).toBeVisible();
  const stack = JSON.stringify(aws("cloudformation", "describe-stacks", "--stack-name", `${STACK}-dev`));
  const login = /"app_2\/([0-9a-z-]+)\/immediately"/;
  expect(stack).toMatch(login);
  await expect(page.getByText(/^Password since [A-Z][a-z]{2} \d{1,2}, \d{4}$/)).toBeVisible();
  await expect(rotate).toBeEnabled({ timeout: 90_000 });
  // Then RDS changes the master user's password, and meanwhile refuses other changes.
  const since = login.exec(stack)?.[1] ?? "";
  const masterIsRotated = () => {
    const master = `stagedb/dev-${STACK}/master-user`;
    const versions = JSON.stringify(aws("secretsmanager", "list-secret-version-ids", "--secret-id", master));
    return versions.includes(`login-${since}`) && !versions.includes("stagedb-next");
  };
  await expect.poll(masterIsRotated, { timeout: 90_000 }).toBe(true);
  // Both logins act as the role that owns the database's objects.
  expect(local("run", STACK, "dev", "--", "node", "examples/node/main.js")).toContain("connected to app as app on");
});

test("a storage increase that is too small is refused with an error at the field", async ({ page }) => {
  await page.goto(stagePath("dev", "/database"));
  await page.getByLabel("Storage (GiB)", { exact: true }).fill("21");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(page.getByText(/by at least 10 ?%, to 22 GiB or more/)).toBeVisible();
  await page.getByRole("button", { name: "Discard changes" }).click();
});

test("a change shows its effect before the save and its result after it", async ({ page }) => {
  // Long enough for a client to measure the interruption.
  await control("PUT", "timings", { rds_modify_seconds: 4, rds_interruption_seconds: 3 });
  await page.goto(stagePath("dev", "/database"));
  await choose(page, page.getByRole("button", { name: /^Instance class/ }), /db\.t4g\.small/);
  await page.getByLabel("Storage (GiB)", { exact: true }).fill("30");
  await page.getByLabel("Password rotation (days)").fill("30");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  const card = page.getByRole("dialog", { name: "Review and save" });
  await expect(card.getByRole("row", { name: /Instance class/ })).toContainText("Interrupts the database");
  await expect(card.getByRole("row", { name: /Storage \(GiB\)/ })).toContainText("20");
  await expect(card.getByRole("row", { name: /Password rotation \(days\)/ })).toContainText("No interruption");
  await expect(card.getByText("This can't be undone")).toBeVisible();
  await reviewAndSave(page);
  await waitForCompletion(page, "dev");
  await control("PUT", "timings", { rds_modify_seconds: 0.5, rds_interruption_seconds: 0 });
  await expect(page.getByText("db.t4g.small").first()).toBeVisible();
  await expect(page.getByText("30 GiB", { exact: true })).toBeVisible();
  await expect(page.getByText(/^Next rotation: [A-Z][a-z]{2} \d{1,2}, \d{4}, .* UTC$/)).toBeVisible();
  await expect(page.getByLabel("Password rotation (days)")).toHaveValue("30");
});

test("a rebuild shows how long connections failed, and the next review repeats it", async ({ page }) => {
  await expect(async () => {
    // The figure is there a few seconds after the rebuild.
    await page.goto(stagePath("dev"));
    await expect(page.getByText(/^Connections failed for \d+ s, from \d\d:\d\d:\d\d UTC\.$/)).toBeVisible({ timeout: 5_000 });
  }).toPass({ timeout: 60_000 });
  await checkAccessible(page, "a rebuild that interrupted the database");

  await page.getByRole("link", { name: "Database", exact: true }).click();
  await choose(page, page.getByRole("button", { name: /^Instance class/ }), /db\.t4g\.micro/);
  await page.getByLabel("Password rotation (days)").fill("60");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  const card = page.getByRole("dialog", { name: "Review and save" });
  const last = /Last time: connections failed for \d+ s \([A-Z][a-z]{2} \d{1,2}, \d{4}\)\./;
  await expect(card.getByRole("row", { name: /Instance class/ })).toContainText(last);
  await expect(card.getByRole("row", { name: /Password rotation/ })).not.toContainText("Last time");
  await checkAccessible(page, "a review with the last downtime");
  await card.getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("button", { name: "Discard changes" }).click();
});

test("a second storage change is refused with the time when the next one is possible", async ({ page }) => {
  await page.goto(stagePath("dev", "/database"));
  await page.getByLabel("Storage (GiB)", { exact: true }).fill("40");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(page.getByText("Your changes weren't saved")).toBeVisible();
  await expect(page.getByText(/another storage change before 20/)).toBeVisible();
  await checkAccessible(page, "a refusal");

  // Edits are kept when you switch screens, and you can discard them.
  await page.getByRole("link", { name: "Stage details" }).click();
  await page.goBack();
  await expect(page.getByLabel("Storage (GiB)", { exact: true })).toHaveValue("40");
  await page.getByRole("button", { name: "Discard changes" }).click();
  await expect(page.getByLabel("Storage (GiB)", { exact: true })).toHaveValue("30");
});

test("you can remove a database by typing its identifier, and restore it from its final snapshot", async ({ page }) => {
  await page.goto(stagePath("dev", "/database"));
  await page.getByRole("button", { name: "Remove database" }).click();
  const card = page.getByRole("dialog", { name: /Remove test-django2-dev-postgres/ });
  await expect(card.getByRole("button", { name: "Remove database" })).toBeDisabled();
  await card.getByLabel(/to confirm/).fill(`${STACK}-dev-postgres`);
  await checkAccessible(page, "the dialog that removes a database");
  await card.getByRole("button", { name: "Remove database" }).click();
  await waitForCompletion(page, "dev");
  await expect(page.getByRole("heading", { name: "Add a database" })).toBeVisible();

  await page.getByRole("link", { name: "Add database" }).click();
  await page.getByRole("radio", { name: /Restore from snapshot/ }).click();
  await choose(page, page.getByRole("button", { name: /^Snapshot/ }), new RegExp(`${STACK}-dev-postgres-.*30 GiB`));
  await expect(page.getByLabel("Storage (GiB)", { exact: true })).toHaveValue("30");
  await checkAccessible(page, "restore from snapshot");
  // RDS may still be deleting the old DB instance.
  await expect(async () => {
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await expect(page.getByRole("dialog", { name: "Review and save" })).toBeVisible({ timeout: 2000 });
    await expect(page.getByRole("button", { name: "Save and rebuild" })).toBeEnabled({ timeout: 8000 });
  }).toPass({ timeout: 40_000 });
  await reviewAndSave(page);
  await waitForCompletion(page, "dev");
  await expect(page.getByText("30 GiB", { exact: true })).toBeVisible();
});
