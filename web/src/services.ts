/** The ECS services in this Region. Each page is shown as soon as it's loaded. */
import { useCallback, useEffect, useState } from "react";
import { type FoundService, usePage } from "./api";

export interface Services {
  found: FoundService[];
  /** Whether more are being loaded. */
  loading: boolean;
  error: Error | undefined;
  again: () => void;
}

export function useServices(): Services {
  const { api } = usePage();
  const [state, setState] = useState<Omit<Services, "again">>({ found: [], loading: true, error: undefined });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    const load = async () => {
      let token: string | undefined;
      let found: FoundService[] = [];
      do {
        const page = await api.services(token, stop.signal);
        if (stop.signal.aborted) return;
        found = [...found, ...page.services];
        token = page.nextToken ?? undefined;
        setState({ found, loading: token !== undefined, error: undefined });
      } while (token !== undefined);
    };
    load().catch((error: unknown) => {
      if (stop.signal.aborted) return;
      setState((before) => ({ ...before, loading: false, error: error instanceof Error ? error : new Error(String(error)) }));
    });
    return () => stop.abort();
  }, [api, turn]);
  const again = useCallback(() => {
    setState({ found: [], loading: true, error: undefined });
    setTurn((before) => before + 1);
  }, []);
  return { ...state, again };
}
