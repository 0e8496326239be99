/** Something that happens now and then, and to which components react: for React's useSyncExternalStore. */
export interface Signal {
  subscribe: (listener: () => void) => () => void;
  /** How often it has happened. */
  count: () => number;
  fire: () => void;
}

export function makeSignal(): Signal {
  const listeners = new Set<() => void>();
  let count = 0;
  return {
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    count: () => count,
    fire: () => {
      count += 1;
      for (const listener of listeners) listener();
    },
  };
}
