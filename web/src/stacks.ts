/** The list of stacks. All screens share it, and it's read more often while a stage is rebuilding. */
import { createContext, useCallback, useContext } from "react";
import type { Api, Stack } from "./api";
import { useResource, type Resource } from "./resource";

/** Merges the pages of the list: a stack's stages can be on more than one page. */
export function merged(stacks: Stack[]): Stack[] {
  const byName = new Map<string, Stack>();
  for (const stack of stacks) {
    const before = byName.get(stack.name);
    byName.set(stack.name, before ? { ...before, stages: [...before.stages, ...stack.stages] } : stack);
  }
  return [...byName.values()].sort((a, b) => a.name.localeCompare(b.name));
}

/** Nothing is read unless `mayRead`. */
export function useStacksResource(api: Api, mayRead: boolean): Resource<Stack[]> {
  const read = useCallback(async (signal: AbortSignal) => merged(await api.stacks(signal)), [api]);
  return useResource(mayRead ? read : null, (stacks) =>
    stacks?.some((stack) => stack.stages.some((stage) => stage.state === "updating")) ? 3000 : 30_000,
  );
}

export const StacksContext = createContext<Resource<Stack[]>>({
  value: undefined,
  error: undefined,
  again: () => undefined,
});

export const useStacks = () => useContext(StacksContext);
