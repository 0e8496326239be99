/** Who is signed in, and what their roles are. It's asked again when the token or the roles may have changed. */
import { createContext, useCallback, useContext, useSyncExternalStore } from "react";
import { type Page, type StageName, usePage } from "./api";
import type { Me } from "./logic/access";
import { type Resource, useResource } from "./resource";

/** Changes when the page has a new token, and when the API has refused something because of the user's role. */
function useRoleVersion({ session, forbidden }: Page): string {
  const renewals = useSyncExternalStore(session.renewed.subscribe, session.renewed.count);
  const refusals = useSyncExternalStore(forbidden.subscribe, forbidden.count);
  return `${String(renewals)}/${String(refusals)}`;
}

export function useMeResource(page: Page): Resource<Me> {
  const { api } = page;
  const version = useRoleVersion(page);
  const read = useCallback(
    (signal: AbortSignal) => api.me(undefined, signal),
    // eslint-disable-next-line react-hooks/exhaustive-deps -- a new version can have other roles
    [api, version],
  );
  return useResource(read);
}

/**
 * What the user may do to a stage. Nothing is read without a name. `change` stands for what else can change the answer,
 * and `every` is the milliseconds between reads, or null for none.
 */
export function useMeOn(name: StageName | null, change: number, every: number | null): Resource<Me> {
  const page = usePage();
  const { api } = page;
  const version = useRoleVersion(page);
  const read = useCallback(
    (signal: AbortSignal) => api.me(name ?? undefined, signal),
    // eslint-disable-next-line react-hooks/exhaustive-deps -- same reason
    [api, name, version, change],
  );
  return useResource(name ? read : null, () => every);
}

export const MeContext = createContext<Resource<Me>>({ value: undefined, error: undefined, again: () => undefined });

export const useMe = () => useContext(MeContext);
