/** The settings of a stage: the side navigation, the rebuild, and the current screen. */
import Alert from "@cloudscape-design/components/alert";
import Button from "@cloudscape-design/components/button";
import Select from "@cloudscape-design/components/select";
import SideNavigation from "@cloudscape-design/components/side-navigation";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Spinner from "@cloudscape-design/components/spinner";
import { lazy, Suspense, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { type StageName, usePage } from "../api";
import { dropDraft } from "../draft";
import { roleOn } from "../logic/access";
import { forgetSave, keepSave } from "../logic/last-save";
import { isRunning, stageStatus } from "../logic/words";
import { useMe, useMeOn } from "../me";
import { useNotify } from "../notify";
import { ProblemAlert } from "../parts/problem";
import { RebuildPanel } from "../parts/rebuild-panel";
import { SaveReview } from "../parts/save-review";
import { StageTitle } from "../parts/stage-title";
import { useResource } from "../resource";
import { follow, go, pathOf, type Route } from "../router";
import { useStacks } from "../stacks";
import { StageContext, type Review, type StagePage } from "../stage-context";

const StageDetails = lazy(() => import("./stage-details"));
const DatabaseScreen = lazy(() => import("./database"));
const AddDatabase = lazy(() => import("./add-database"));
const Variables = lazy(() => import("./variables"));
const StageServices = lazy(() => import("./stage-services"));
const History = lazy(() => import("./history"));
const NoAccess = lazy(() => import("../parts/no-access"));

type Of = Exclude<Route, { screen: "stacks" | "register" | "nowhere" }>;

/** Milliseconds between reads of a rebuild while it's running, and otherwise, because another user can start one. */
const RUNNING = 1200;
const AT_REST = 15_000;

export default function StageScreens({ route }: { route: Of }) {
  const { value: stacks } = useStacks();
  const { value: me } = useMe();
  const first = stacks?.find((stack) => stack.name === route.stack)?.stages[0]?.name;
  const stackOnly = route.screen === "stack" ? route.stack : undefined;
  useEffect(() => {
    if (stackOnly && first) go({ screen: "database", stack: stackOnly, stage: first }, "replace");
  }, [stackOnly, first]);
  if (me && !roleOn(me, route.stack)) return <NoAccess stack={route.stack} />;
  if (route.screen === "stack") {
    return stacks && !first ? <NoStage stack={route.stack} /> : <Spinner size="large" />;
  }
  return <OneStage key={`${route.stack}/${route.stage}`} route={route} />;
}

function NoStage({ stack }: { stack: string }) {
  return (
    <Alert type="warning" header="Stack not found" action={<Button href="/stacks" onFollow={follow}>View all stacks</Button>}>
      There's no stack named {stack} with a registered stage.
    </Alert>
  );
}

function OneStage({ route }: { route: Exclude<Of, { screen: "stack" }> }) {
  const { api } = usePage();
  const notify = useNotify();
  const stacks = useStacks();
  const { stack, stage } = route;
  const name = useMemo<StageName>(() => ({ stack, stage }), [stack, stage]);
  const refreshStacks = stacks.again;
  const [version, setVersion] = useState(0);
  const seen = useRef<string | null>(null);
  const wasRunning = useRef(false);
  const read = useCallback(
    async (signal: AbortSignal) => {
      const found = await api.rebuild(name, signal);
      const mark = `${found.startedAt ?? ""} ${found.phase}`;
      if (seen.current !== null && seen.current !== mark) {
        setVersion((before) => before + 1);
        refreshStacks();
      }
      seen.current = mark;
      if (wasRunning.current && found.phase === "complete") {
        // The user's edits are saved now.
        forgetSave(name);
        for (const form of ["change", "new", "attach", "source"]) dropDraft(`${form}:${stack}/${stage}`);
        notify({ id: `rebuild:${stack}/${stage}`, type: "success", content: `The rebuild of ${stack} ${stage} is complete.` });
      }
      wasRunning.current = isRunning(found);
      return found;
    },
    [api, name, stack, stage, notify, refreshStacks],
  );
  const { value: rebuild, error, again } = useResource(read, (value) => (isRunning(value) ? RUNNING : AT_REST));
  const me = useMeOn(name, version, AT_REST);
  const access = me.value?.stage ?? undefined;
  const accessFailed = me.error !== undefined;
  const checkAccess = me.again;
  const [review, setReview] = useState<Review | null>(null);
  const running = isRunning(rebuild);

  const page = useMemo<StagePage>(
    () => ({ name, rebuild, running, version, access, accessFailed, checkAccess, begun: again, review: setReview }),
    [name, rebuild, running, version, access, accessFailed, checkAccess, again],
  );

  return (
    <StageContext.Provider value={page}>
      <SpaceBetween size="l">
        <StageTitle />
        {me.error && !me.value && (
          <ProblemAlert error={me.error} header="Couldn't check what you're allowed to do" again={me.again} />
        )}
        {rebuild && <RebuildPanel rebuild={rebuild} />}
        {error && !rebuild ? (
          <ProblemAlert error={error} header="Couldn't load the stage" again={again} />
        ) : (
          <Suspense fallback={<Spinner size="large" />}>
            {route.screen === "stage" && <StageDetails />}
            {route.screen === "services" && <StageServices />}
            {route.screen === "variables" && <Variables />}
            {route.screen === "database" && <DatabaseScreen />}
            {route.screen === "add" && <AddDatabase />}
            {route.screen === "history" && <History />}
          </Suspense>
        )}
      </SpaceBetween>
      {review && (
        <SaveReview
          name={name}
          {...review}
          close={() => setReview(null)}
          refused={(refusal) => {
            setReview(null);
            review.refused(refusal);
          }}
          saved={() => {
            setReview(null);
            keepSave(name, review.body);
            again();
            review.saved?.();
          }}
        />
      )}
    </StageContext.Provider>
  );
}

/** The screen in the side navigation that this screen belongs to. */
function sectionOf(screen: Of["screen"]): "stack" | "stage" | "variables" | "database" | "history" {
  if (screen === "add") return "database";
  return screen === "services" ? "stage" : screen;
}

/** The side navigation. */
export function StageNavigation({ route }: { route: Of }) {
  const { value: stacks } = useStacks();
  const stages = stacks?.find((stack) => stack.name === route.stack)?.stages ?? [];
  const stage = route.screen === "stack" ? undefined : route.stage;
  const options = stages.map((each) => ({
    value: each.name,
    label: each.name,
    description: stageStatus(each.state).text,
  }));
  const of = { stack: route.stack, stage: stage ?? "" };
  const active = sectionOf(route.screen);
  return (
    <SideNavigation
      header={{ text: route.stack, href: pathOf({ screen: "stack", stack: route.stack }) }}
      activeHref={active === "stack" ? undefined : pathOf({ ...of, screen: active })}
      onFollow={follow}
      itemsControl={
        <Select
          selectedOption={stage ? (options.find((option) => option.value === stage) ?? { value: stage, label: stage }) : null}
          options={options}
          placeholder="Choose a stage"
          inlineLabelText="Stage"
          ariaLabel="Stage"
          onChange={({ detail }) => {
            go({ screen: active === "stack" ? "database" : active, stack: route.stack, stage: detail.selectedOption.value ?? "" });
          }}
        />
      }
      items={
        stage
          ? [
              {
                type: "section-group",
                title: "Stage settings",
                items: [
                  { type: "link", text: "Stage details", href: pathOf({ ...of, screen: "stage" }) },
                  { type: "link", text: "Runtime variables", href: pathOf({ ...of, screen: "variables" }) },
                  { type: "link", text: "Database", href: pathOf({ ...of, screen: "database" }) },
                  { type: "link", text: "History", href: pathOf({ ...of, screen: "history" }) },
                ],
              },
            ]
          : []
      }
    />
  );
}
