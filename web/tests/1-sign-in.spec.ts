import { expect, signIn, stagePath, test, USERNAME } from "./world";

test.use({ storageState: { cookies: [], origins: [] } });

test("a deep link works through the login, and no token is stored", async ({ page }) => {
  await page.goto(stagePath("dev", "/runtime-variables"));
  await signIn(page, "not the password");
  await expect(page.getByText("Incorrect username or password")).toBeVisible();
  await signIn(page);
  await expect(page.getByRole("heading", { level: 1, name: "Runtime variables" })).toBeVisible();
  expect(new URL(page.url()).pathname).toBe(stagePath("dev", "/runtime-variables"));
  expect(new URL(page.url()).search).toBe("");
  const kept = await page.evaluate(() => JSON.stringify([Object.entries(localStorage), Object.entries(sessionStorage)]));
  expect(kept).not.toContain("eyJ");

  // Signing out also ends the Cognito session, so the next visit asks for the password.
  await page.getByRole("button", { name: USERNAME }).click();
  await page.getByRole("menuitem", { name: "Sign out", exact: true }).click();
  await expect(page.locator("input[name=password]")).toBeVisible();
  await page.goto("/stacks");
  await expect(page.locator("input[name=password]")).toBeVisible();
});

test("the page sends requests only to its own host and the login", async ({ page }) => {
  const hosts = new Set<string>();
  page.on("request", (sent) => hosts.add(new URL(sent.url()).host));
  await page.goto("/");
  await signIn(page);
  await expect(page.getByRole("heading", { name: "Stacks" })).toBeVisible();
  const own = new URL(page.url()).host;
  const login = new URL(process.env.STAGEDB_ENDPOINT ?? "").host;
  expect([...hosts].sort()).toEqual([own, login].sort());

  const served = await page.evaluate(async () => {
    const script = document.querySelector<HTMLScriptElement>("script[type=module]");
    const asset = await fetch(script?.src ?? "", { cache: "reload" });
    return [asset.headers.get("cache-control"), asset.headers.get("content-encoding")];
  });
  expect(served).toEqual(["public, max-age=31536000, immutable", "br"]);
});
