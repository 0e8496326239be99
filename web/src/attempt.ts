/** Idempotency keys: a repeated request has the same key, and a different request has another one. */
import { useCallback, useRef } from "react";

export interface Attempt {
  key: string;
  /** Whether the same request was sent before, so that it may have succeeded although its response got lost. */
  repeated: boolean;
}

/** Returns a function that gives a key for what's about to be sent. */
export function useAttempt(): (request: unknown) => Attempt {
  const last = useRef({ text: "", key: "" });
  return useCallback((request: unknown) => {
    const text = JSON.stringify(request);
    const repeated = last.current.text === text;
    if (!repeated) last.current = { text, key: crypto.randomUUID() };
    return { key: last.current.key, repeated };
  }, []);
}
