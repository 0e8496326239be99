import { defineConfig } from "@playwright/test";

/** `cargo local test --page` starts a local AWS, and says in the environment where it is. */
export default defineConfig({
  testDir: "tests",
  outputDir: "test-results",
  // One local AWS for all, and the stages' states follow from each other.
  workers: 1,
  fullyParallel: false,
  forbidOnly: true,
  timeout: 180_000,
  expect: { timeout: 15_000 },
  reporter: [["list"]],
  use: {
    baseURL: process.env.STAGEDB_PAGE_URL,
    viewport: { width: 1440, height: 900 },
    locale: "en-US",
    timezoneId: "UTC",
    // Filming every action takes more time than the page.
    trace: { mode: "retain-on-failure", screenshots: false },
    screenshot: "only-on-failure",
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      // Chromium's own sandbox does not work for root, as which containers run.
      args: ["--disable-gpu", ...(process.getuid?.() === 0 ? ["--no-sandbox"] : [])],
    },
  },
  projects: [
    { name: "signed-in", testMatch: /signed-in\.setup\.ts/ },
    {
      name: "page",
      testMatch: /\d+-.*\.spec\.ts/,
      dependencies: ["signed-in"],
      use: { storageState: "test-results/signed-in.json" },
    },
    {
      name: "screenshots",
      testMatch: /screenshots\.ts/,
      dependencies: ["signed-in"],
      use: { storageState: "test-results/signed-in.json" },
    },
    {
      name: "bench",
      testMatch: /bench\.ts/,
      dependencies: ["signed-in"],
      use: { storageState: "test-results/signed-in.json" },
    },
  ],
});
