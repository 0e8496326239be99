/** The stacks, read once for all screens, and again while something changes. */
import { createContext, useCallback, useContext } from "react";
import type { Api, Stack } from "./api";
import { useResource, type Resource } from "./resource";

/** A stack's stages may stand on several pages. */
export function merged(stacks: Stack[]): Stack[] {
  const byName = new Map<string, Stack>();
  for (const stack of stacks) {
    const before = byName.get(stack.name);
    byName.set(stack.name, before ? { ...before, stages: [...before.stages, ...stack.stages] } : stack);
  }
  return [...byName.values()].sort((a, b) => a.name.localeCompare(b.name));
}

export function useStacksResource(api: Api): Resource<Stack[]> {
  const read = useCallback(async (signal: AbortSignal) => merged(await api.stacks(signal)), [api]);
  return useResource(read, (stacks) =>
    stacks?.some((stack) => stack.stages.some((stage) => stage.state === "updating")) ? 3000 : 30_000,
  );
}

export const StacksContext = createContext<Resource<Stack[]>>({
  value: undefined,
  error: undefined,
  again: () => undefined,
});

export const useStacks = () => useContext(StacksContext);
