import { aws, checkAccessible, expect, local, reviewAndSave, STACK, stagePath, test, waitForCompletion } from "./world";

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
