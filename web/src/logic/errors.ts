/** Sorts errors into those shown at a field and those shown above the form. */
import { Refusal } from "../api";
import type { FieldErrors } from "./save";
import { SETTINGS } from "./settings";

/** Returns the errors of a refusal by field, and the error to show above the form if there is one. */
export function byField(error: Error, shown: readonly string[]): { fields: FieldErrors; whole: Error | null } {
  const found = error instanceof Refusal ? (error.problem.errors ?? []) : [];
  const fields: FieldErrors = {};
  for (const { pointer, detail } of found) if (shown.includes(pointer)) fields[pointer] = detail;
  const elsewhere = found.some(({ pointer }) => !shown.includes(pointer));
  return { fields, whole: found.length > 0 && !elsewhere ? null : error };
}

export const OWN_FIELDS = SETTINGS.map(({ name }) => `/${name}`);

export const ATTACH_FIELDS = [
  "/identifier",
  "/databaseName",
  "/credentials/secretArn",
  "/credentials/username",
  "/credentials/password",
] as const;
