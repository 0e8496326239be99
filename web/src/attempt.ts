/** Idempotency keys: a repeated request has the same key, and a different request has another one. */
import { useCallback, useRef } from "react";

/** Returns a function that gives the key for what's about to be sent. */
export function useAttempt(): (request: unknown) => string {
  const last = useRef({ text: "", key: "" });
  return useCallback((request: unknown) => {
    const text = JSON.stringify(request);
    if (last.current.text !== text) last.current = { text, key: crypto.randomUUID() };
    return last.current.key;
  }, []);
}
