/** Sending what a dialog asks for: whether it's under way, and what went wrong. */
import { useState } from "react";

/** `submit` sends it. A dialog stays busy after a success, because it's about to be closed. */
export function useSubmission(send: () => Promise<void>): { busy: boolean; error: Error | null; submit: () => void } {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const attempt = async () => {
    setBusy(true);
    setError(null);
    try {
      await send();
    } catch (caught) {
      setBusy(false);
      setError(caught as Error);
    }
  };
  return { busy, error, submit: () => void attempt() };
}
