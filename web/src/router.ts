/** Routing: which screen a path shows, and how to navigate to another one. */
import { useSyncExternalStore } from "react";
import type { StageName } from "./api";

/** The screens of a stage. */
export type StageScreen = "stage" | "services" | "variables" | "database" | "add" | "history";

export type Route =
  | { screen: "stacks" }
  | { screen: "register" }
  | { screen: "stack"; stack: string }
  | ({ screen: StageScreen } & StageName)
  | { screen: "nowhere" };

const NAME = "([a-z][a-z0-9-]*)";
const PATTERNS: [RegExp, (match: string[]) => Route][] = [
  [/^\/(stacks\/?)?$/, () => ({ screen: "stacks" })],
  [/^\/register\/?$/, () => ({ screen: "register" })],
  [new RegExp(`^/stacks/${NAME}/settings/?$`), ([, stack = ""]) => ({ screen: "stack", stack })],
  [
    new RegExp(`^/stacks/${NAME}/stages/${NAME}/?$`),
    ([, stack = "", stage = ""]) => ({ screen: "stage", stack, stage }),
  ],
  [
    new RegExp(`^/stacks/${NAME}/stages/${NAME}/services/?$`),
    ([, stack = "", stage = ""]) => ({ screen: "services", stack, stage }),
  ],
  [
    new RegExp(`^/stacks/${NAME}/stages/${NAME}/runtime-variables/?$`),
    ([, stack = "", stage = ""]) => ({ screen: "variables", stack, stage }),
  ],
  [
    new RegExp(`^/stacks/${NAME}/stages/${NAME}/database/?$`),
    ([, stack = "", stage = ""]) => ({ screen: "database", stack, stage }),
  ],
  [
    new RegExp(`^/stacks/${NAME}/stages/${NAME}/database/add/?$`),
    ([, stack = "", stage = ""]) => ({ screen: "add", stack, stage }),
  ],
  [
    new RegExp(`^/stacks/${NAME}/stages/${NAME}/history/?$`),
    ([, stack = "", stage = ""]) => ({ screen: "history", stack, stage }),
  ],
];

export function routeOf(path: string): Route {
  for (const [pattern, route] of PATTERNS) {
    const match = pattern.exec(path);
    if (match) return route(match);
  }
  return { screen: "nowhere" };
}

const LAST: Record<StageScreen, string> = {
  stage: "",
  services: "/services",
  variables: "/runtime-variables",
  database: "/database",
  add: "/database/add",
  history: "/history",
};

export function pathOf(route: Route): string {
  switch (route.screen) {
    case "stacks":
    case "nowhere":
      return "/stacks";
    case "register":
      return "/register";
    case "stack":
      return `/stacks/${route.stack}/settings`;
    default:
      return `/stacks/${route.stack}/stages/${route.stage}${LAST[route.screen]}`;
  }
}

const listeners = new Set<() => void>();
const tell = () => {
  for (const listener of listeners) listener();
};

function subscribe(listener: () => void): () => void {
  if (listeners.size === 0) window.addEventListener("popstate", tell);
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) window.removeEventListener("popstate", tell);
  };
}

/** The current path. */
export function usePath(): string {
  return useSyncExternalStore(subscribe, () => location.pathname);
}

/** The current query, such as `?kind=denied`. */
export function useQuery(): string {
  return useSyncExternalStore(subscribe, () => location.search);
}

/** Changes the query of the current screen. Empty values are left out. */
export function setQuery(values: Record<string, string | undefined>): void {
  const query = new URLSearchParams(Object.entries(values).flatMap(([name, value]) => (value ? [[name, value]] : [])));
  history.replaceState(null, "", location.pathname + (query.size > 0 ? `?${query.toString()}` : ""));
  tell();
}

/** Goes to another screen. The browser's Back button returns to the previous one, unless it was replaced. */
export function go(to: Route | string, how: "push" | "replace" = "push"): void {
  const path = typeof to === "string" ? to : pathOf(to);
  if (path === location.pathname + location.search) return;
  if (how === "push") history.pushState(null, "", path);
  else history.replaceState(null, "", path);
  window.scrollTo(0, 0);
  tell();
}

/** For Cloudscape's `onFollow`: follows internal links without a reload. A click that opens a new window still does. */
export function follow(event: CustomEvent<{ href?: string; external?: boolean }>): void {
  const { href, external } = event.detail;
  if (!href?.startsWith("/") || external) return;
  event.preventDefault();
  go(href);
}
