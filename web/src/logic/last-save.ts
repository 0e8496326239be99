/** The last save of each stage, so the user can retry it if the rebuild fails. A password is kept only in memory. */
import type { Save, StageName } from "../api";

const inMemory = new Map<string, Save>();

const keyOf = (name: StageName) => `last-save:${name.stack}/${name.stage}`;

export function keepSave(name: StageName, body: Save): void {
  inMemory.set(keyOf(name), body);
  const credentials = body.source === "attached" ? body.credentials : undefined;
  if (credentials && "password" in credentials) sessionStorage.removeItem(keyOf(name));
  else sessionStorage.setItem(keyOf(name), JSON.stringify(body));
}

export function lastSave(name: StageName): Save | undefined {
  const kept = inMemory.get(keyOf(name));
  if (kept) return kept;
  const text = sessionStorage.getItem(keyOf(name));
  return text ? (JSON.parse(text) as Save) : undefined;
}

export function forgetSave(name: StageName): void {
  inMemory.delete(keyOf(name));
  sessionStorage.removeItem(keyOf(name));
}
