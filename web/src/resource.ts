/** Data from the API. It's read when a component is shown, on request, and at an interval. */
import { useCallback, useEffect, useRef, useState } from "react";

export interface Resource<T> {
  /** The last value. It's kept while the next one loads. */
  value: T | undefined;
  error: Error | undefined;
  again: () => void;
}

/**
 * `read` must be stable (useCallback), or null to read nothing. `pause` returns the milliseconds until the next read, or null for no automatic
 * reads. Nothing is read while the page is hidden.
 */
export function useResource<T>(
  read: ((signal: AbortSignal) => Promise<T>) | null,
  pause: (value: T | undefined) => number | null = () => null,
): Resource<T> {
  const [state, setState] = useState<{ value?: T; error?: Error }>({});
  const [turn, setTurn] = useState(0);
  const pauseNow = useRef(pause);
  useEffect(() => {
    pauseNow.current = pause;
  });
  useEffect(() => {
    if (!read) return;
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const plan = (value: T | undefined) => {
      const time = pauseNow.current(value);
      if (time !== null) timer = setTimeout(round, time);
    };
    const round = () => {
      if (document.hidden) {
        document.addEventListener("visibilitychange", round, { once: true, signal: stop.signal });
        return;
      }
      read(stop.signal).then(
        (value) => {
          if (stop.signal.aborted) return;
          setState({ value });
          plan(value);
        },
        (error: unknown) => {
          if (stop.signal.aborted) return;
          setState((before) => ({ ...before, error: error instanceof Error ? error : new Error(String(error)) }));
          plan(undefined);
        },
      );
    };
    round();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [read, turn]);
  const again = useCallback(() => setTurn((before) => before + 1), []);
  return { value: state.value, error: state.error, again };
}
