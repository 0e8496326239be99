/** What the user may do. The API decides, and the page asks it: it never looks into the token. */
import type { Schemas } from "../api";

export type Me = Schemas["Me"];
export type StageAccess = Schemas["StageAccess"];

/** The operations that change a stage. */
export type Operation =
  | "putStage"
  | "deleteStage"
  | "putDatabase"
  | "deleteDatabase"
  | "previewDatabase"
  | "rotateLogin"
  | "testConnection"
  | "postRebuild"
  | "postRuntimeVariables"
  | "putProtection";

/** Without a reason, it isn't known yet. */
export interface Access {
  allowed: boolean;
  reason?: string;
}

/** For a button. */
export interface Lock {
  disabled: boolean;
  disabledReason?: string;
}

export const WAIT = "Wait until the current rebuild finishes.";

const ALLOWED: Access = { allowed: true };
const UNKNOWN: Access = { allowed: false };

/** Whether the user may do all of these. If the page couldn't ask, it locks nothing, and the API decides. */
export function accessTo(stage: StageAccess | undefined, failed: boolean, operations: readonly Operation[]): Access {
  if (!stage) return failed ? ALLOWED : UNKNOWN;
  const refused = stage.operations.find(({ operation, allowed }) => !allowed && operations.some((each) => each === operation));
  return refused ? { allowed: false, reason: refused.reason ?? "Your role doesn't allow this." } : ALLOWED;
}

/** Whether a button is disabled, and why. The user's role comes first, then the first of the other reasons. */
export function lockOf(access: Access, ...reasons: (string | false | undefined)[]): Lock {
  if (!access.allowed) return access.reason === undefined ? { disabled: true } : { disabled: true, disabledReason: access.reason };
  const reason = reasons.find((each) => typeof each === "string");
  return reason === undefined ? { disabled: false } : { disabled: true, disabledReason: reason };
}

/** The user's role on a stack. */
export function roleOn(me: Me, stack: string): string | undefined {
  return me.stacks.find((each) => each.stack === stack)?.role ?? me.role ?? undefined;
}

/** Whether the user has a role on anything. */
export function hasRole(me: Me): boolean {
  return Boolean(me.role) || me.stacks.length > 0;
}

/** Whether the user may register a stage of some stack. */
export function registersSomewhere(me: Me | undefined, failed: boolean): Access {
  if (!me) return failed ? ALLOWED : UNKNOWN;
  const roles = [me.role, ...me.stacks.map(({ role }) => role)];
  if (roles.some((role) => role === "editor" || role === "admin")) return ALLOWED;
  return {
    allowed: false,
    reason: `Only editors and admins can register a stage, and your role is ${roles.find((role) => role) ?? "none"}. Editors are the members of the group stagedb-editor, or of a group for one stack, such as stagedb-editor:shop.`,
  };
}

/** The roles in words: “Viewer, and Admin of shop”. */
export function rolesInWords(me: Me): string {
  const name = (role: string) => role.charAt(0).toUpperCase() + role.slice(1);
  const words = [...(me.role ? [name(me.role)] : []), ...me.stacks.map(({ stack, role }) => `${name(role)} of ${stack}`)];
  return words.length === 0 ? "No role" : words.join(", ");
}
