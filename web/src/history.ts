/** The records of a stage's history, page by page. */
import { useCallback, useEffect, useRef, useState } from "react";
import { type HistoryFilter, type HistoryRecord, type StageName, usePage } from "./api";

export interface Records {
  found: HistoryRecord[];
  loading: boolean;
  error: Error | undefined;
  /** Reads the next page. Undefined if there is none. */
  more: (() => void) | undefined;
  /** Reads the first page again. */
  again: () => void;
}

interface State {
  /** The filter that these records are for. */
  of: string;
  found: HistoryRecord[];
  loading: boolean;
  error?: Error;
  nextToken?: string | undefined;
}

/** The first page is read again when `version` changes. */
export function useHistory(name: StageName, filter: HistoryFilter, version: number): Records {
  const { api } = usePage();
  const of = JSON.stringify(filter);
  const [kept, setState] = useState<State>({ of, found: [], loading: true });
  const [turn, setTurn] = useState(0);
  const stop = useRef(new AbortController());

  const load = useCallback(
    (before: HistoryRecord[], nextToken: string | undefined, { signal }: AbortController) => {
      const wanted = JSON.parse(of) as HistoryFilter;
      api.history(name, nextToken === undefined ? wanted : { ...wanted, nextToken }, signal).then(
        (page) => {
          if (signal.aborted) return;
          const known = new Set(before.map(({ id }) => id));
          const found = [...before, ...page.records.filter(({ id }) => !known.has(id))];
          setState({ of, found, loading: false, nextToken: page.nextToken ?? undefined });
        },
        (error: unknown) => {
          if (signal.aborted) return;
          const problem = error instanceof Error ? error : new Error(String(error));
          // What was shown before stays.
          setState((kept) => ({
            of,
            found: kept.of === of ? kept.found : before,
            loading: false,
            nextToken: nextToken ?? (kept.of === of ? kept.nextToken : undefined),
            error: problem,
          }));
        },
      );
    },
    [api, name, of],
  );

  useEffect(() => {
    const control = new AbortController();
    stop.current = control;
    load([], undefined, control);
    return () => control.abort();
  }, [load, turn, version]);

  // Another filter is another list.
  const { found, loading, error, nextToken }: State = kept.of === of ? kept : { of, found: [], loading: true };
  const begin = () => setState({ of, found, loading: true, nextToken });
  return {
    found,
    loading,
    error,
    more: nextToken
      ? () => {
          begin();
          load(found, nextToken, stop.current);
        }
      : undefined,
    again: () => {
      begin();
      setTurn((before) => before + 1);
    },
  };
}
