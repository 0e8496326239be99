/** The frame around every screen: the signed-in user, the breadcrumbs, and the notifications. */
import AppLayout from "@cloudscape-design/components/app-layout-toolbar";
import BreadcrumbGroup from "@cloudscape-design/components/breadcrumb-group";
import Flashbar, { type FlashbarProps } from "@cloudscape-design/components/flashbar";
import { I18nProvider } from "@cloudscape-design/components/i18n";
import messages from "@cloudscape-design/components/i18n/messages/all.en";
import Spinner from "@cloudscape-design/components/spinner";
import TopNavigation from "@cloudscape-design/components/top-navigation";
import { applyMode, Mode } from "@cloudscape-design/global-styles";
import "@cloudscape-design/global-styles/index.css";
import { lazy, StrictMode, Suspense, useCallback, useEffect, useMemo, useState } from "react";
import { createRoot } from "react-dom/client";
import { makeApi, PageContext, usePage, type Page } from "./api";
import { type Appearance, appearance, isDark, keepAppearance } from "./logic/appearance";
import { NotifyContext, type Notice } from "./notify";
import { Boundary } from "./parts/boundary";
import { SessionEnded } from "./parts/session-ended";
import { follow, go, pathOf, routeOf, usePath, type Route } from "./router";
import type { Session } from "./session";
import { StacksScreen } from "./screens/stacks";
import { StacksContext, useStacksResource } from "./stacks";

const loadStage = () => import("./screens/stage-screens");
const StageScreens = lazy(loadStage);
const Register = lazy(() => import("./screens/register"));
const StageNavigation = lazy(async () => ({ default: (await loadStage()).StageNavigation }));

/** Renders the page. */
export function mount(session: Session): void {
  const root = document.getElementById("root");
  if (!root) return;
  const page = { session, api: makeApi(session) };
  createRoot(root).render(
    <StrictMode>
      <I18nProvider locale="en" messages={[messages]}>
        <PageContext.Provider value={page}>
          <App page={page} />
        </PageContext.Provider>
      </I18nProvider>
    </StrictMode>,
  );
}

function titleOf(route: Route): string {
  switch (route.screen) {
    case "stacks":
      return "Stacks";
    case "register":
      return "Register a stage";
    case "stack":
      return `${route.stack} settings`;
    case "stage":
      return `Stage details · ${route.stack} ${route.stage}`;
    case "services":
      return `Services and jobs · ${route.stack} ${route.stage}`;
    case "variables":
      return `Runtime variables · ${route.stack} ${route.stage}`;
    case "database":
      return `Database · ${route.stack} ${route.stage}`;
    case "add":
      return `Add a database · ${route.stack} ${route.stage}`;
    case "nowhere":
      return "Page not found";
  }
}

function crumbsOf(route: Route): { text: string; href: string }[] {
  const crumbs = [{ text: "Stacks", href: "/stacks" }];
  if (route.screen === "stacks" || route.screen === "nowhere") return crumbs;
  if (route.screen === "register") return [...crumbs, { text: "Register a stage", href: pathOf(route) }];
  crumbs.push({ text: route.stack, href: pathOf({ screen: "stack", stack: route.stack }) });
  if (route.screen === "stack") return crumbs;
  crumbs.push({ text: route.stage, href: pathOf({ ...route, screen: "stage" }) });
  if (route.screen === "services") crumbs.push({ text: "Services and jobs", href: pathOf(route) });
  if (route.screen === "variables") crumbs.push({ text: "Runtime variables", href: pathOf(route) });
  if (route.screen === "database" || route.screen === "add") {
    crumbs.push({ text: "Database", href: pathOf({ ...route, screen: "database" }) });
  }
  if (route.screen === "add") crumbs.push({ text: "Add a database", href: pathOf(route) });
  return crumbs;
}

function App({ page }: { page: Page }) {
  const path = usePath();
  const route = useMemo(() => routeOf(path), [path]);
  const stacks = useStacksResource(page.api);
  const [notices, setNotices] = useState<(Notice & { id: string })[]>([]);
  const [navigationOpen, setNavigationOpen] = useState(() => window.innerWidth > 688);
  const title = titleOf(route);

  useEffect(() => {
    document.title = `${title} · stagedb`;
  }, [title]);

  const notify = useCallback((notice: Notice) => {
    const id = notice.id ?? crypto.randomUUID();
    setNotices((before) => [{ ...notice, id }, ...before.filter((other) => other.id !== id)].slice(0, 4));
  }, []);

  const items: FlashbarProps.MessageDefinition[] = notices.map((notice) => ({
    ...notice,
    dismissible: true,
    dismissLabel: "Dismiss notification",
    onDismiss: () => setNotices((before) => before.filter((other) => other.id !== notice.id)),
  }));
  const ofStage = route.screen !== "stacks" && route.screen !== "nowhere" && route.screen !== "register";
  const crumbs = crumbsOf(route);

  return (
    <NotifyContext.Provider value={notify}>
      <StacksContext.Provider value={stacks}>
        <div id="top">
          <Top />
        </div>
        <AppLayout
          headerSelector="#top"
          toolsHide
          navigationHide={!ofStage}
          navigationOpen={navigationOpen}
          onNavigationChange={({ detail }) => setNavigationOpen(detail.open)}
          navigationWidth={260}
          maxContentWidth={1100}
          notifications={<Flashbar items={items} stackItems />}
          breadcrumbs={
            crumbs.length > 1 ? <BreadcrumbGroup items={crumbs} onFollow={follow} ariaLabel="Breadcrumbs" /> : undefined
          }
          navigation={
            ofStage ? (
              <Suspense fallback={<Spinner />}>
                <StageNavigation route={route} />
              </Suspense>
            ) : undefined
          }
          content={
            <Boundary key={path}>
              <Suspense fallback={<Spinner size="large" />}>
                {route.screen === "stacks" && <StacksScreen />}
                {route.screen === "nowhere" && <StacksScreen missing={path} />}
                {route.screen === "register" && <Register />}
                {ofStage && <StageScreens route={route} />}
              </Suspense>
            </Boundary>
          }
          ariaLabels={{
            navigation: "Settings",
            navigationToggle: "Open navigation",
            navigationClose: "Close navigation",
            notifications: "Notifications",
          }}
        />
        <SessionEnded />
      </StacksContext.Provider>
    </NotifyContext.Provider>
  );
}

/** The top navigation bar. */
function Top() {
  const { session } = usePage();
  const [chosen, setChosen] = useState<Appearance>(appearance);

  useEffect(() => {
    const system = matchMedia("(prefers-color-scheme: dark)");
    const apply = () => {
      const dark = isDark(chosen, system.matches);
      applyMode(dark ? Mode.Dark : Mode.Light);
      document.documentElement.className = chosen === "system" ? "" : chosen;
    };
    apply();
    system.addEventListener("change", apply);
    return () => system.removeEventListener("change", apply);
  }, [chosen]);

  const choose = (next: Appearance) => {
    keepAppearance(next);
    setChosen(next);
  };
  return (
    <TopNavigation
      identity={{
        href: "/stacks",
        title: "stagedb",
        onFollow: (event) => {
          event.preventDefault();
          go({ screen: "stacks" });
        },
      }}
      utilities={[
        {
          type: "menu-dropdown",
          text: "Appearance",
          items: (["system", "light", "dark"] as const).map((id) => ({
            id,
            text: { system: "System default", light: "Light", dark: "Dark" }[id],
            itemType: "checkbox" as const,
            checked: id === chosen,
          })),
          onItemClick: ({ detail }) => choose(detail.id as Appearance),
        },
        {
          type: "menu-dropdown",
          text: session.name,
          iconName: "user-profile",
          items: [{ id: "sign-out", text: "Sign out" }],
          onItemClick: () => session.signOut(),
        },
      ]}
    />
  );
}
