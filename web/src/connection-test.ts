/** The connection tests of a form. They're forgotten when the user leaves it. */
import { useCallback, useEffect, useRef, useState } from "react";
import { type Save, usePage } from "./api";
import { begunAt, endedWith, outcomeOf, type Tested, valuesOf, without } from "./logic/connection-test";
import { useStage } from "./stage-context";

/** Waits, unless the form is left. */
function pause(milliseconds: number, left: AbortSignal): Promise<void> {
  return new Promise((done, stop) => {
    left.throwIfAborted();
    const timer = setTimeout(done, milliseconds);
    const stopNow = () => {
      clearTimeout(timer);
      stop(left.reason as Error);
    };
    left.addEventListener("abort", stopNow, { once: true });
  });
}

export interface ConnectionTests {
  tests: Tested[];
  /** Starts a test. `refused` gets the error if it doesn't start. */
  start: (body: Save, etag: string | undefined, refused: (error: Error) => void) => void;
}

export function useConnectionTests(): ConnectionTests {
  const { api } = usePage();
  const { name } = useStage();
  const [tests, setTests] = useState<Tested[]>([]);
  const leaving = useRef(new AbortController());
  useEffect(() => {
    const control = new AbortController();
    leaving.current = control;
    return () => control.abort();
  }, []);

  const start = useCallback(
    (body: Save, etag: string | undefined, refused: (error: Error) => void) => {
      const left = leaving.current.signal;
      const values = valuesOf(body, etag);
      const follow = async () => {
        let id: string;
        try {
          // Each test has a key of its own, because the same values can be tested again.
          ({ id } = await api.testConnection(name, body, etag, crypto.randomUUID()));
        } catch (error) {
          if (left.aborted) return;
          setTests((before) => without(before, values));
          refused(error as Error);
          return;
        }
        const outcome = await outcomeOf(
          () => api.connectionTest(name, id, left),
          (milliseconds) => pause(milliseconds, left),
          Date.now,
        );
        setTests((before) => endedWith(before, values, outcome));
      };
      setTests((before) => begunAt(before, values));
      follow().catch((error: unknown) => {
        if (!left.aborted) setTests((before) => endedWith(before, values, { lost: String(error) }));
      });
    },
    [api, name],
  );
  return { tests, start };
}
