/** Turns a form into the body of a save. */
import type { Save, Settings } from "../api";
import { askForNumber, type InPlace, inPlaceBody, inPlaceOf, whole } from "./settings";

type Created = Extract<Save, { source: "created" }>;

/** The form values of a database that stagedb creates, as the user typed them. */
export interface OwnForm {
  instanceClass: string;
  storageGiB: string;
  maxStorageGiB: string;
  databaseName: string;
  inPlace: InPlace;
  engineVersion: string;
  appLogin: boolean;
  rotationDays: string;
  apply: "now" | "maintenance-window";
  fromSnapshot: string;
}

/** The form for a new database. Unlike the API, the page recommends the app login. */
export const NEW: OwnForm = {
  instanceClass: "db.t4g.micro",
  storageGiB: "20",
  maxStorageGiB: "",
  databaseName: "app",
  inPlace: inPlaceOf({}),
  engineVersion: "",
  appLogin: true,
  rotationDays: "0",
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

/** Errors by the API's JSON pointer, such as `/storageGiB`. */
export type FieldErrors = Record<string, string>;

/** Returns the body, or the errors that the page can find without asking the API. */
export function ownBody(form: OwnForm, kind: "new" | "snapshot" | "change"): { body: Save } | { errors: FieldErrors } {
  const { values, errors }: { values: object; errors: FieldErrors } = inPlaceBody(form.inPlace);
  const storageGiB = whole(form.storageGiB);
  if (Number.isNaN(storageGiB)) errors["/storageGiB"] = "Enter a whole number of GiB, such as 20.";
  let maxStorageGiB: number | null = null;
  if (form.maxStorageGiB.trim() !== "") {
    maxStorageGiB = whole(form.maxStorageGiB);
    if (Number.isNaN(maxStorageGiB)) errors["/maxStorageGiB"] = "Enter a whole number of GiB, or leave this field empty.";
  }
  const rotationDays = whole(shownRotationDays(form));
  if (Number.isNaN(rotationDays)) errors["/rotationDays"] = askForNumber("rotationDays");
  if (form.instanceClass === "") errors["/instanceClass"] = "Choose an instance class.";
  if (kind === "snapshot" && form.fromSnapshot === "") errors["/fromSnapshot"] = "Choose a snapshot.";
  if (kind === "new" && form.databaseName.trim() === "") errors["/databaseName"] = "Enter a database name.";
  if (Object.keys(errors).length > 0) return { errors };
  const body: Created = {
    source: "created",
    instanceClass: form.instanceClass,
    storageGiB,
    maxStorageGiB,
    ...values,
    appLogin: form.appLogin,
    rotationDays,
    apply: form.apply,
  };
  if (form.engineVersion !== "") body.engineVersion = form.engineVersion;
  // A change includes the name too, because the API requires every save to be complete.
  if (kind !== "snapshot") body.databaseName = form.databaseName.trim();
  if (kind === "snapshot") {
    body.fromSnapshot = form.fromSnapshot;
    // Choosing a snapshot copies its database name into the form.
    body.databaseName = form.databaseName.trim();
  }
  return { body };
}

/** Without the app login, there's no password to rotate. What the user typed is kept, in case they turn it on again. */
export function shownRotationDays({ appLogin, rotationDays }: Pick<OwnForm, "appLogin" | "rotationDays">): string {
  return appLogin ? rotationDays : "0";
}

export function attachBody(form: AttachForm): { body: Save } | { errors: FieldErrors } {
  const errors: FieldErrors = {};
  if (form.identifier === "") errors["/identifier"] = "Choose a database.";
  if (form.databaseName.trim() === "") errors["/databaseName"] = "Enter a database name.";
  if (form.credentials === "secret" && form.secretArn.trim() === "") errors["/credentials/secretArn"] = "Enter the ARN of a secret.";
  if (form.credentials === "typed") {
    if (form.username === "") errors["/credentials/username"] = "Enter a username.";
    if (form.password === "") errors["/credentials/password"] = "Enter a password.";
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

/** Returns the form for these settings, or undefined if stagedb didn't create the database. */
export function formOf(settings: Settings): OwnForm | undefined {
  if (settings.source !== "created") return undefined;
  return {
    instanceClass: settings.instanceClass,
    storageGiB: String(settings.storageGiB),
    maxStorageGiB: settings.maxStorageGiB == null ? "" : String(settings.maxStorageGiB),
    databaseName: settings.databaseName,
    inPlace: inPlaceOf(settings),
    engineVersion: settings.engineVersion,
    appLogin: settings.appLogin,
    rotationDays: String(settings.rotationDays),
    apply: settings.apply === "maintenance-window" ? "maintenance-window" : "now",
    fromSnapshot: "",
  };
}

/** Turns the API's “must be 20 or more” into the sentence “Must be 20 or more.” to show at a field. */
export function fieldSentence(detail: string | undefined): string | undefined {
  if (!detail) return undefined;
  const text = detail.charAt(0).toUpperCase() + detail.slice(1);
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
