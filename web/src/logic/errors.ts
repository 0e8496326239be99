/** Which errors stand at fields, and which stand above the form. */
import { Refusal } from "../api";
import type { FieldErrors } from "./save";

/** A refusal's errors by field, and what is left for the form as a whole. */
export function byField(error: Error, shown: readonly string[]): { fields: FieldErrors; whole: Error | null } {
  const found = error instanceof Refusal ? (error.problem.errors ?? []) : [];
  const fields: FieldErrors = {};
  for (const { pointer, detail } of found) if (shown.includes(pointer)) fields[pointer] = detail;
  const elsewhere = found.some(({ pointer }) => !shown.includes(pointer));
  return { fields, whole: found.length > 0 && !elsewhere ? null : error };
}

export const OWN_FIELDS = [
  "/instanceClass",
  "/storageGiB",
  "/maxStorageGiB",
  "/multiAz",
  "/backupRetentionDays",
  "/engineVersion",
  "/databaseName",
  "/apply",
  "/fromSnapshot",
] as const;

export const ATTACH_FIELDS = [
  "/identifier",
  "/databaseName",
  "/credentials/secretArn",
  "/credentials/username",
  "/credentials/password",
] as const;
