/**
 * What somebody has typed and not saved. It survives going to another screen and back, and a reload; secrets stay in
 * this page's memory only.
 */
import { useCallback, useState } from "react";

const secrets = new Map<string, Record<string, unknown>>();
const PREFIX = "draft:";

/** The draft of this key, or what `initial` has where there is none. */
export function readDraft<T extends object>(key: string, initial: T): T {
  let kept: Partial<T> = {};
  try {
    kept = JSON.parse(sessionStorage.getItem(PREFIX + key) ?? "{}") as Partial<T>;
  } catch {
    // Nobody but this module writes there; what cannot be read is no draft.
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

/** Form state that is kept as a draft. Remount (React's `key`) for another draft. */
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
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the list of secrets is a constant of each form
    [key],
  );
  const reset = useCallback(() => {
    dropDraft(key);
    setValue(initial);
    // eslint-disable-next-line react-hooks/exhaustive-deps -- as above
  }, [key]);
  return [value, change, reset];
}
