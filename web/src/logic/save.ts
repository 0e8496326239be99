/** From a form to the body of a Save. */
import type { Save, Settings } from "../api";

type Created = Extract<Save, { source: "created" }>;

/** What the forms for a database of the stage's own hold: text as it was typed. */
export interface OwnForm {
  instanceClass: string;
  storageGiB: string;
  maxStorageGiB: string;
  databaseName: string;
  multiAz: boolean;
  backupRetentionDays: string;
  engineVersion: string;
  apply: "now" | "maintenance-window";
  fromSnapshot: string;
}

export const NEW: OwnForm = {
  instanceClass: "db.t4g.micro",
  storageGiB: "20",
  maxStorageGiB: "",
  databaseName: "app",
  multiAz: false,
  backupRetentionDays: "7",
  engineVersion: "",
  apply: "now",
  fromSnapshot: "",
};

export interface AttachForm {
  identifier: string;
  kind: string;
  databaseName: string;
  credentials: "secret" | "typed" | "kept";
  secretArn: string;
  username: string;
  password: string;
}

export const ATTACH: AttachForm = {
  identifier: "",
  kind: "",
  databaseName: "",
  credentials: "secret",
  secretArn: "",
  username: "",
  password: "",
};

/** Errors by the API's pointer, such as `/storageGiB`. */
export type FieldErrors = Record<string, string>;

/** A whole number, or NaN for what the API would refuse anyway. */
function whole(text: string): number {
  return /^\d+$/.test(text.trim()) ? Number(text) : Number.NaN;
}

/** The body, or what is wrong with it as far as that can be said without asking. */
export function ownBody(form: OwnForm, kind: "new" | "snapshot" | "change"): { body: Save } | { errors: FieldErrors } {
  const errors: FieldErrors = {};
  const storageGiB = whole(form.storageGiB);
  if (Number.isNaN(storageGiB)) errors["/storageGiB"] = "must be a whole number of GiB, such as 20";
  const backupRetentionDays = whole(form.backupRetentionDays);
  if (Number.isNaN(backupRetentionDays)) errors["/backupRetentionDays"] = "must be a whole number of days, 1 to 35";
  let maxStorageGiB: number | null = null;
  if (form.maxStorageGiB.trim() !== "") {
    maxStorageGiB = whole(form.maxStorageGiB);
    if (Number.isNaN(maxStorageGiB)) errors["/maxStorageGiB"] = "must be a whole number of GiB, or empty";
  }
  if (form.instanceClass === "") errors["/instanceClass"] = "must be chosen";
  if (kind === "snapshot" && form.fromSnapshot === "") errors["/fromSnapshot"] = "must be chosen";
  if (kind === "new" && form.databaseName.trim() === "") errors["/databaseName"] = "is required";
  if (Object.keys(errors).length > 0) return { errors };
  const body: Created = {
    source: "created",
    instanceClass: form.instanceClass,
    storageGiB,
    maxStorageGiB,
    multiAz: form.multiAz,
    backupRetentionDays,
    apply: form.apply,
  };
  if (form.engineVersion !== "") body.engineVersion = form.engineVersion;
  // A change says it too: the API wants every Save to be whole.
  if (kind !== "snapshot") body.databaseName = form.databaseName.trim();
  if (kind === "snapshot") {
    body.fromSnapshot = form.fromSnapshot;
    // The snapshot says its name; the form's is that of the snapshot that was chosen.
    body.databaseName = form.databaseName.trim();
  }
  return { body };
}

export function attachBody(form: AttachForm): { body: Save } | { errors: FieldErrors } {
  const errors: FieldErrors = {};
  if (form.identifier === "") errors["/identifier"] = "must be chosen";
  if (form.databaseName.trim() === "") errors["/databaseName"] = "is required";
  if (form.credentials === "secret" && form.secretArn.trim() === "") errors["/credentials/secretArn"] = "is required";
  if (form.credentials === "typed") {
    if (form.username === "") errors["/credentials/username"] = "is required";
    if (form.password === "") errors["/credentials/password"] = "is required";
  }
  if (Object.keys(errors).length > 0) return { errors };
  return {
    body: {
      source: "attached",
      identifier: form.identifier,
      ...(form.kind === "" ? {} : { kind: form.kind as "instance" | "cluster" }),
      databaseName: form.databaseName.trim(),
      ...(form.credentials === "secret" ? { credentials: { secretArn: form.secretArn.trim() } } : {}),
      ...(form.credentials === "typed" ? { credentials: { username: form.username, password: form.password } } : {}),
    },
  };
}

/** The form that shows these settings; undefined if they are no database of the stage's own. */
export function formOf(settings: Settings): OwnForm | undefined {
  if (settings.source !== "created") return undefined;
  return {
    instanceClass: settings.instanceClass,
    storageGiB: String(settings.storageGiB),
    maxStorageGiB: settings.maxStorageGiB == null ? "" : String(settings.maxStorageGiB),
    databaseName: settings.databaseName,
    multiAz: settings.multiAz,
    backupRetentionDays: String(settings.backupRetentionDays),
    engineVersion: settings.engineVersion,
    apply: settings.apply === "maintenance-window" ? "maintenance-window" : "now",
    fromSnapshot: "",
  };
}

/** “Must be 20 or more.” for a field of its own, from the API's “must be 20 or more”. */
export function fieldSentence(detail: string | undefined): string | undefined {
  if (!detail) return undefined;
  const text = detail.charAt(0).toUpperCase() + detail.slice(1);
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
