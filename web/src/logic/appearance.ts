/** Light mode, dark mode, or the system default. It's the only thing that the page stores after it's closed. */
export type Appearance = "system" | "light" | "dark";

const KEY = "appearance";

export function appearance(): Appearance {
  const kept = localStorage.getItem(KEY);
  return kept === "light" || kept === "dark" ? kept : "system";
}

export function keepAppearance(chosen: Appearance): void {
  if (chosen === "system") localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, chosen);
}

export function isDark(chosen: Appearance, systemIsDark: boolean): boolean {
  return chosen === "dark" || (chosen === "system" && systemIsDark);
}
