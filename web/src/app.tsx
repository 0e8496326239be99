/** The frame around every screen: the signed-in user, the breadcrumbs, and the notifications. */
import AppLayout from "@cloudscape-design/components/app-layout-toolbar";
import BreadcrumbGroup from "@cloudscape-design/components/breadcrumb-group";
import Flashbar, { type FlashbarProps } from "@cloudscape-design/components/flashbar";
import { I18nProvider } from "@cloudscape-design/components/i18n";
import messages from "@cloudscape-design/components/i18n/messages/all.en";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Spinner from "@cloudscape-design/components/spinner";
import TopNavigation from "@cloudscape-design/components/top-navigation";
import { applyMode, Mode } from "@cloudscape-design/global-styles";
import "@cloudscape-design/global-styles/index.css";
import { lazy, type ReactNode, StrictMode, Suspense, useCallback, useEffect, useMemo, useState } from "react";
import { createRoot } from "react-dom/client";
import { makeApi, PageContext, usePage, type Page } from "./api";
import { hasRole, rolesInWords } from "./logic/access";
import { type Appearance, appearance, isDark, keepAppearance } from "./logic/appearance";
import { MeContext, useMe, useMeResource } from "./me";
import { NotifyContext, type Notice } from "./notify";
import { Boundary } from "./parts/boundary";
import { ProblemAlert } from "./parts/problem";
import { SessionEnded } from "./parts/session-ended";
import { follow, go, pathOf, routeOf, usePath, type Route } from "./router";
import type { Session } from "./session";
import { StacksScreen } from "./screens/stacks";
import { makeSignal } from "./signal";
import { StacksContext, useStacksResource } from "./stacks";

const loadStage = () => import("./screens/stage-screens");
const StageScreens = lazy(loadStage);
const Register = lazy(() => import("./screens/register"));
const NoAccess = lazy(() => import("./parts/no-access"));
const SignOutEverywhere = lazy(() => import("./parts/sign-out-everywhere"));
const StageNavigation = lazy(async () => ({ default: (await loadStage()).StageNavigation }));

/** Renders the page. */
export function mount(session: Session): void {
  const root = document.getElementById("root");
  if (!root) return;
  const forbidden = makeSignal();
  const page = { session, api: makeApi(session, forbidden), forbidden };
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
    case "history":
      return `History · ${route.stack} ${route.stage}`;
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
  if (route.screen === "history") crumbs.push({ text: "History", href: pathOf(route) });
  if (route.screen === "database" || route.screen === "add") {
    crumbs.push({ text: "Database", href: pathOf({ ...route, screen: "database" }) });
  }
  if (route.screen === "add") crumbs.push({ text: "Add a database", href: pathOf(route) });
  return crumbs;
}

function App({ page }: { page: Page }) {
  const path = usePath();
  const route = useMemo(() => routeOf(path), [path]);
  const me = useMeResource(page);
  // Without a role, every request would be refused and recorded, so the page asks for the roles first.
  const access = me.value ? (hasRole(me.value) ? "some" : "none") : me.error ? "unknown" : "loading";
  const mayRead = access === "some" || access === "unknown";
  const stacks = useStacksResource(page.api, mayRead);
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
      <MeContext.Provider value={me}>
        <StacksContext.Provider value={stacks}>
          <div id="top">
            <Top />
          </div>
          <AppLayout
            headerSelector="#top"
            toolsHide
            navigationHide={!ofStage || !mayRead}
            navigationOpen={navigationOpen}
            onNavigationChange={({ detail }) => setNavigationOpen(detail.open)}
            navigationWidth={260}
            maxContentWidth={route.screen === "history" ? 1400 : 1100}
            notifications={<Flashbar items={items} stackItems />}
            breadcrumbs={
              crumbs.length > 1 && mayRead ? (
                <BreadcrumbGroup items={crumbs} onFollow={follow} ariaLabel="Breadcrumbs" />
              ) : undefined
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
                  {access === "loading" && <Spinner size="large" />}
                  {access === "none" && <NoAccess />}
                  {mayRead && (
                    <WithProblem error={me.value || ofStage ? undefined : me.error} again={me.again}>
                      {route.screen === "stacks" && <StacksScreen />}
                      {route.screen === "nowhere" && <StacksScreen missing={path} />}
                      {route.screen === "register" && <Register />}
                      {ofStage && <StageScreens route={route} />}
                    </WithProblem>
                  )}
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
      </MeContext.Provider>
    </NotifyContext.Provider>
  );
}

/** If the page couldn't ask what the user may do, it says so, and the API decides. */
function WithProblem({ error, again, children }: { error: Error | undefined; again: () => void; children: ReactNode }) {
  if (!error) return children;
  return (
    <SpaceBetween size="l">
      <ProblemAlert error={error} header="Couldn't check what you're allowed to do" again={again} />
      {children}
    </SpaceBetween>
  );
}

/** The top navigation bar. */
function Top() {
  const { session } = usePage();
  const { value: me } = useMe();
  const [leaving, setLeaving] = useState(false);
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
    <>
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
          text: me?.email ?? session.name,
          description: me && rolesInWords(me),
          iconName: "user-profile",
          items: [
            { id: "sign-out", text: "Sign out" },
            { id: "sign-out-everywhere", text: "Sign out everywhere" },
          ],
          onItemClick: ({ detail }) => {
            if (detail.id === "sign-out") session.signOut();
            else setLeaving(true);
          },
        },
      ]}
      />
      {leaving && (
        <Suspense fallback={null}>
          <SignOutEverywhere close={() => setLeaving(false)} />
        </Suspense>
      )}
    </>
  );
}
