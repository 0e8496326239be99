import { expect, it } from "vitest";
import { pathOf, routeOf } from "./router";

it("every screen has a path, and each path leads back to its screen", () => {
  const of = { stack: "test-django2", stage: "dev" };
  for (const route of [
    { screen: "stacks" },
    { screen: "register" },
    { screen: "stack", stack: "test-django2" },
    { screen: "stage", ...of },
    { screen: "services", ...of },
    { screen: "variables", ...of },
    { screen: "database", ...of },
    { screen: "add", ...of },
    { screen: "history", ...of },
  ] as const) {
    expect(routeOf(pathOf(route))).toEqual(route);
    expect(routeOf(`${pathOf(route)}/`)).toEqual(route);
  }
});

it("an unknown path has no screen", () => {
  for (const path of ["/nothing", "/stacks/A/settings", "/stacks/a/stages/b/c", "/stacks/a/stages/%2e%2e"]) {
    expect(routeOf(path)).toEqual({ screen: "nowhere" });
  }
});
