import { checkAccessible, expect, stagePath, STACK, test } from "./world";

/** Each screen with its path and its heading. `dev` has a database, and `prod` doesn't. */
const SCREENS = [
  ["stacks", "/stacks", "Stacks"],
  ["register a stage", "/register", "Select services"],
  ["stage details", stagePath("dev"), "Stage details"],
  ["services and jobs", stagePath("dev", "/services"), "Services and jobs"],
  ["runtime variables", stagePath("dev", "/runtime-variables"), "Runtime variables"],
  ["database", stagePath("dev", "/database"), "Database"],
  ["history", stagePath("dev", "/history"), "History"],
  ["no database", stagePath("prod", "/database"), "Add a database"],
  ["add a database", stagePath("prod", "/database/add"), "Add a database"],
] as const;

/** A heading has a counter after its list has loaded. */
const titled = (heading: string) => new RegExp(`^${heading}( \\(\\d+\\))?$`);

for (const [name, path, heading] of SCREENS) {
  test(`${name}: reload, back, and forward`, async ({ page }) => {
    const shown = page.getByRole("heading", { level: 1, name: titled(heading) });
    await page.goto(path);
    await expect(shown).toBeVisible();
    await page.reload();
    await expect(shown).toBeVisible();
    expect(new URL(page.url()).pathname).toBe(path);
    await page.getByRole("link", { name: "stagedb" }).click();
    await expect(page.getByRole("heading", { level: 1, name: "Stacks" })).toBeVisible();
    if (path === "/stacks") return;
    await page.goBack();
    await expect(shown).toBeVisible();
    await page.goForward();
    await expect(page.getByRole("heading", { level: 1, name: "Stacks" })).toBeVisible();
  });
}

for (const width of [1440, 1024, 390]) {
  for (const colorScheme of ["light", "dark"] as const) {
    test(`every screen is accessible, ${String(width)} pixels wide and ${colorScheme}`, async ({ page }) => {
      await page.setViewportSize({ width, height: 900 });
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      for (const [name, path, heading] of SCREENS) {
        await page.goto(path);
        await expect(page.getByRole("heading", { level: 1, name: titled(heading) })).toBeVisible();
        if (name === "database") await expect(page.getByText("from CloudWatch")).toBeVisible();
        await expect(page.getByText(/^Loading/).first()).toBeHidden();
        await page.screenshot({ path: `screens/${name.replaceAll(" ", "-")}-${String(width)}-${colorScheme}.png`, fullPage: true });
        await checkAccessible(page, `${name}, ${String(width)}, ${colorScheme}`);
      }
    });
  }
}

test("you can get to a save with the keyboard alone", async ({ page }) => {
  await page.goto("/stacks");
  const focused = () => page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent ?? "");
  const tabTo = async (text: RegExp) => {
    for (let tries = 0; tries < 60; tries += 1) {
      if (text.test(await focused())) return;
      await page.keyboard.press("Tab");
    }
    throw new Error(`Tab doesn't reach ${String(text)}`);
  };
  await expect(page.getByRole("heading", { name: "Stacks" })).toBeVisible();
  await tabTo(new RegExp(`Database for ${STACK} prod`));
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "Add a database" })).toBeVisible();
  await tabTo(/^Add database$/);
  await page.keyboard.press("Enter");
  await expect(page.getByLabel("Database name")).toBeVisible();
  await tabTo(/^Save$/);
  await page.keyboard.press("Enter");
  const card = page.getByRole("dialog", { name: "Review and save" });
  await expect(card.getByRole("button", { name: "Save and rebuild" })).toBeEnabled();
  await page.keyboard.press("Escape");
  await expect(card).toBeHidden();
});

test("an unknown address shows that the page or the stack was not found", async ({ page }) => {
  await page.goto("/nowhere");
  await expect(page.getByText("Page not found")).toBeVisible();
  await page.goto("/stacks/nothing/settings");
  await expect(page.getByText("Stack not found")).toBeVisible();
});
