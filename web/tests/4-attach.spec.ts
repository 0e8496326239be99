import type { Page } from "@playwright/test";
import { aws, checkAccessible, expect, local, reviewAndSave, STACK, stagePath, test, USERNAME, waitForCompletion } from "./world";

const THEIR_PASSWORD = "their-password-1";

test.beforeAll(async () => {
  const { Stacks } = aws("cloudformation", "describe-stacks", "--stack-name", "demo") as {
    Stacks: { Outputs: { OutputKey: string; OutputValue: string }[] }[];
  };
  const vpc = Stacks[0]?.Outputs.find((output) => output.OutputKey === "VpcId")?.OutputValue ?? "";
  const { Subnets } = aws("ec2", "describe-subnets", "--filters", `Name=vpc-id,Values=${vpc}`) as {
    Subnets: { SubnetId: string }[];
  };
  const subnets = Subnets.map((subnet) => subnet.SubnetId);
  aws("rds", "create-db-subnet-group", "--db-subnet-group-name", "theirs", "--db-subnet-group-description", "theirs", "--subnet-ids", ...subnets);
  const { GroupId } = aws("ec2", "create-security-group", "--group-name", "theirs", "--description", "theirs", "--vpc-id", vpc) as { GroupId: string };
  aws("ec2", "create-tags", "--resources", GroupId, "--tags", "Key=stagedb:attachable,Value=true");
  const make = (identifier: string, ...rest: string[]) =>
    aws("rds", "create-db-instance", "--db-instance-identifier", identifier, "--engine", "postgres", "--db-instance-class", "db.t4g.large", "--allocated-storage", "50", "--db-name", "orders", "--master-username", "clerk", "--master-user-password", THEIR_PASSWORD, ...rest);
  make("orders", "--db-subnet-group-name", "theirs", "--vpc-security-group-ids", GroupId);
  // In another VPC.
  make("elsewhere");
  await expect(() => {
    const { DBInstances } = aws("rds", "describe-db-instances", "--db-instance-identifier", "orders") as {
      DBInstances: { DBInstanceStatus: string }[];
    };
    expect(DBInstances[0]?.DBInstanceStatus).toBe("available");
  }).toPass({ timeout: 30_000 });
});

const result = (page: Page) => page.getByRole("region", { name: "Connection test" });

/** Fills the form with the database that can be attached. */
async function enter(page: Page): Promise<void> {
  await page.goto(stagePath("prod", "/database/add"));
  await page.getByRole("radio", { name: /Existing AWS database/ }).click();
  await page.getByRole("radio", { name: "orders" }).click();
  await expect(page.getByLabel("Database name")).toHaveValue("orders");
  await page.getByRole("radio", { name: /Username and password/ }).click();
  await page.getByRole("textbox", { name: "Username" }).fill("clerk");
  await page.getByLabel("Password", { exact: true }).fill(THEIR_PASSWORD);
}

interface Reply {
  status: number;
  json: object;
}

/** Answers the requests of connection tests instead of the API. */
async function answerTests(page: Page, started: Reply, found?: Reply): Promise<void> {
  await page.route(/\/database\/connection-test/, (route) =>
    route.fulfill(route.request().method() === "POST" ? started : (found ?? started)),
  );
}

const problem = (status: number, detail: string, errors: { pointer: string; detail: string }[] = []) => ({
  status,
  json: { type: "urn:stagedb:problem:test", title: "Refused", status, detail, requestId: "", errors },
});

test("a connection test shows from where it connected, and the review knows its result", async ({ page }) => {
  await enter(page);
  await page.getByRole("button", { name: "Test connection" }).click();
  await expect(result(page).getByText("Starting a client in your services' network.")).toBeVisible();
  await checkAccessible(page, "a running connection test");
  await expect(result(page).getByText("Connected from everywhere your services and jobs run")).toBeVisible({ timeout: 120_000 });
  await expect(result(page).getByRole("listitem").filter({ hasText: `Service demo/${STACK}-prod` })).toBeVisible();
  await checkAccessible(page, "a successful connection test");
  const kept = await page.evaluate(() => JSON.stringify(Object.entries(sessionStorage)));
  expect(kept).not.toContain(THEIR_PASSWORD);

  // A result belongs to the values that were tested.
  await page.getByLabel("Database name").fill("other");
  await expect(result(page).getByText(/^Outdated/)).toBeVisible();
  await checkAccessible(page, "an outdated connection test");
  await page.getByLabel("Database name").fill("orders");
  await expect(result(page).getByText(/^Outdated/)).toBeHidden();
  await page.getByRole("button", { name: "Save", exact: true }).click();
  const card = page.getByRole("dialog", { name: "Review and save" });
  await expect(card.getByText("The connection test succeeded")).toBeVisible();
  await checkAccessible(page, "the review of a tested connection");
  await card.getByRole("button", { name: "Cancel" }).click();

  await page.getByRole("link", { name: "History", exact: true }).click();
  const row = page.getByRole("table", { name: "History" }).getByRole("row").filter({ hasText: "Tested a connection" }).first();
  await expect(row).toContainText(USERNAME);
});

test("a failed connection test says from where, why, and what to do next, and you can still save", async ({ page }) => {
  const from = (place: string) => ({ from: place, securityGroups: ["sg-0a"], executionRoleArn: "arn:aws:iam::123456789012:role/web" });
  const results = [
    { ...from("service demo/web"), status: "failed", reason: "no route: the database doesn't answer (timeout)", nextStep: "Check the network ACLs." },
    { ...from("job migrate"), status: "connected" },
  ];
  const ended = { id: "0a", status: "failed", startedAt: new Date().toISOString(), certificateIsVerified: true, results };
  await answerTests(page, { status: 202, json: { id: "0a" } }, { status: 200, json: ended });
  await enter(page);
  await page.getByRole("button", { name: "Test connection" }).click();
  await expect(result(page).getByText("The connection test failed")).toBeVisible();
  const places = result(page).getByRole("listitem");
  await expect(places.first()).toContainText("Service demo/web: No route: the database doesn't answer (timeout).");
  await expect(places.first()).toContainText("What to do next: Check the network ACLs.");
  await expect(places.last()).toContainText("Job migrate: Connected.");
  await checkAccessible(page, "a failed connection test");

  await page.getByRole("button", { name: "Save", exact: true }).click();
  const card = page.getByRole("dialog", { name: "Review and save" });
  await expect(card.getByText("The connection test failed")).toBeVisible();
  await expect(card.getByText("You can still save. The rebuild connects before it publishes anything.")).toBeVisible();
  await expect(card.getByRole("button", { name: "Save and rebuild" })).toBeEnabled();
  await checkAccessible(page, "the review of a failed connection test");
  await card.getByRole("button", { name: "Cancel" }).click();

  // Other values aren't tested.
  await page.getByLabel("Password", { exact: true }).fill("another-password");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(card.getByText("The connection isn't tested")).toBeVisible();
  await card.getByRole("button", { name: "Cancel" }).click();
});

test("a connection test that isn't started shows why, at the field if it's about one", async ({ page }) => {
  await enter(page);
  await page.getByLabel("Password", { exact: true }).fill("");
  await page.getByRole("button", { name: "Test connection" }).click();
  await expect(page.getByText("Enter a password.")).toBeVisible();
  await page.getByLabel("Password", { exact: true }).fill(THEIR_PASSWORD);

  await answerTests(page, problem(422, "The body isn't valid.", [{ pointer: "/databaseName", detail: "must be another one" }]));
  await page.getByRole("button", { name: "Test connection" }).click();
  await expect(page.getByText("Must be another one.")).toBeVisible();
  await expect(result(page)).toBeHidden();

  await page.unrouteAll();
  await answerTests(page, problem(409, "A rebuild is running."));
  await page.getByRole("button", { name: "Test connection" }).click();
  await expect(page.getByText("The connection wasn't tested")).toBeVisible();
  await expect(page.getByText("A rebuild is running.")).toBeVisible();
  await expect(page.getByRole("button", { name: "Test connection" })).toBeEnabled();
});

test("you can find an existing database, attach it with a username and password, and detach it", async ({ page }) => {
  await page.goto(stagePath("prod", "/database/add"));
  await page.getByRole("radio", { name: /Existing AWS database/ }).click();
  await expect(page.getByRole("row", { name: /elsewhere/ })).toContainText("No:");
  await checkAccessible(page, "the list of databases");
  await page.getByLabel("Find a database").fill("ord");
  await expect(page.getByRole("row", { name: /elsewhere/ })).toBeHidden();
  await page.getByRole("radio", { name: "orders" }).click();
  await expect(page.getByLabel("Database name")).toHaveValue("orders");
  await page.getByRole("radio", { name: /Username and password/ }).click();
  await page.getByRole("textbox", { name: "Username" }).fill("clerk");
  await page.getByLabel("Password", { exact: true }).fill(THEIR_PASSWORD);
  const kept = await page.evaluate(() => JSON.stringify(Object.entries(sessionStorage)));
  expect(kept).not.toContain(THEIR_PASSWORD);
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(page.getByRole("dialog", { name: "Review and save" }).getByText("The connection isn't tested")).toBeVisible();
  await reviewAndSave(page);
  await waitForCompletion(page, "prod");
  await expect(page.getByText("Attached database").first()).toBeVisible();
  await checkAccessible(page, "an attached database");
  expect(local("run", STACK, "prod", "--", "node", "examples/node/main.js")).toContain("connected to orders as clerk");

  await page.getByRole("button", { name: "Detach database" }).click();
  await page.getByLabel(/to confirm/).fill("orders");
  await page.getByRole("dialog").getByRole("button", { name: "Detach database" }).click();
  await waitForCompletion(page, "prod");
  await expect(page.getByRole("heading", { name: "Add a database" })).toBeVisible();
});
