/** The settings of a database that stagedb creates. The file is generated from the API's definitions. */
import definitions from "../settings.json";

interface Common {
  name: string;
  label: string;
  description: string;
  /** Whether RDS changes it without interrupting the database. Its form field then needs no special control. */
  inPlace: boolean;
}

export type Setting = Common &
  (
    | { type: "boolean"; default: boolean }
    | { type: "number"; default: number | null; min: number; max: number }
    | { type: "text"; default: string | null }
    | { type: "choice"; default: string | null; words: string[] }
  );

export const SETTINGS = definitions as readonly Setting[];

/** The settings whose form fields are generated from their definitions. */
export const IN_PLACE = SETTINGS.filter((setting) => setting.inPlace);

/** The label of a setting, or undefined if there's no setting with this name. */
export function settingLabel(name: string): string | undefined {
  return SETTINGS.find((setting) => setting.name === name)?.label;
}

/** The limits of a number: “1 to 35”. */
export function limitsOf(name: string): string {
  const setting = SETTINGS.find((each) => each.name === name);
  return setting?.type === "number" ? `${String(setting.min)} to ${String(setting.max)}` : "";
}

/** The form values of these settings, as the user typed them. */
export type InPlace = Record<string, string | boolean>;

/** Converts a value from the API to a form value. */
function typed(value: unknown): string | boolean {
  if (typeof value === "boolean") return value;
  return typeof value === "number" || typeof value === "string" ? String(value) : "";
}

/** Returns the form values for settings from the API, or the defaults for a new database. */
export function inPlaceOf(settings: Record<string, unknown>): InPlace {
  return Object.fromEntries(IN_PLACE.map(({ name, default: value }) => [name, typed(settings[name] ?? value)]));
}

/** Returns the values for the body, and the errors that the page can find. */
export function inPlaceBody(form: InPlace): { values: Record<string, unknown>; errors: Record<string, string> } {
  const values: Record<string, unknown> = {};
  const errors: Record<string, string> = {};
  for (const setting of IN_PLACE) {
    const value = form[setting.name];
    if (setting.type === "number") {
      values[setting.name] = whole(String(value));
      if (Number.isNaN(values[setting.name])) {
        errors[`/${setting.name}`] = askForNumber(setting.name);
      }
    } else if (value !== "") {
      values[setting.name] = value;
    }
  }
  return { values, errors };
}

/** Shown at a field whose text isn't a whole number. */
export function askForNumber(name: string): string {
  return `Enter a whole number from ${limitsOf(name)}.`;
}

/** Parses a whole number. Returns NaN for anything that the API would reject. */
export function whole(text: string): number {
  return /^\d+$/.test(text.trim()) ? Number(text) : Number.NaN;
}
