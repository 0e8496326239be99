/**
 * Unsaved form input. It's kept when the user switches screens or reloads the page. Secrets are kept only in this page's
 * memory.
 */
import { useCallback, useState } from "react";

const secrets = new Map<string, Record<string, unknown>>();
const PREFIX = "draft:";

/** Returns the draft for this key. Fields without a draft come from `initial`. */
export function readDraft<T extends object>(key: string, initial: T): T {
  let kept: Partial<T> = {};
  try {
    kept = JSON.parse(sessionStorage.getItem(PREFIX + key) ?? "{}") as Partial<T>;
  } catch {
    // Only this module writes there, so a draft that can't be parsed is ignored.
  }
  return { ...initial, ...kept, ...secrets.get(key) };
}

export function writeDraft<T extends object>(key: string, value: T, secret: readonly (keyof T & string)[]): void {
  const open = { ...value } as Record<string, unknown>;
  const hidden: Record<string, unknown> = {};
  for (const name of secret) {
    hidden[name] = open[name];
    Reflect.deleteProperty(open, name);
  }
  secrets.set(key, hidden);
  sessionStorage.setItem(PREFIX + key, JSON.stringify(open));
}

export function dropDraft(key: string): void {
  secrets.delete(key);
  sessionStorage.removeItem(PREFIX + key);
}

/** Form state that's kept as a draft. To switch to another draft, remount the component with another `key`. */
export function useDraft<T extends object>(
  key: string,
  initial: T,
  secret: readonly (keyof T & string)[] = [],
): [T, (change: Partial<T>) => void, () => void] {
  const [value, setValue] = useState(() => readDraft(key, initial));
  const change = useCallback(
    (part: Partial<T>) => {
      setValue((before) => {
        const after = { ...before, ...part };
        writeDraft(key, after, secret);
        return after;
      });
    },
    // eslint-disable-next-line react-hooks/exhaustive-deps -- each form's list of secrets is a constant
    [key],
  );
  const reset = useCallback(() => {
    dropDraft(key);
    setValue(initial);
    // eslint-disable-next-line react-hooks/exhaustive-deps -- same reason
  }, [key]);
  return [value, change, reset];
}
