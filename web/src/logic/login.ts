/** Which user the containers of a created database log in as. */
import type { Login } from "../api";
import { type Access, type Lock, lockOf, WAIT } from "./access";
import { date, day } from "./words";

/** The login of a database. A database that never had the app login has none. */
type Known = Login | null | undefined;

const MASTER = "postgres";

export const APP_LOGIN_HINT =
  "Recommended. Containers log in as a user of their own, which owns the database's objects but can't manage roles or reach other databases. You can rotate its password without failed logins.";

export const ROTATION_HINT =
  "How often the app login gets a new password. Each rotation rebuilds the stage. Enter 0 to rotate it only when someone asks for it.";

/** Why the days between rotations can't be changed. */
export const NEEDS_APP_LOGIN = "Turn on the app login to set this.";

/** Shown while the login from before is still enabled. */
export const UNSETTLED = "The login from before is disabled when the last container from before has stopped.";

/** Why a rotation can't wait for containers yet. */
export const WAIT_FOR_LAST = "Possible when the last container or job that uses the login from before has stopped. If none is running anymore, rebuild the stage.";

/** Whether the containers log in as one of the app logins. */
export function isAppLogin(login: Known): boolean {
  return login != null && login.user !== MASTER;
}

/** The app login that the next rotation publishes. */
export function otherLogin({ user }: Login): string {
  return user === "app_1" ? "app_2" : "app_1";
}

/** The choices of when a rotation disables the login from before. */
export const WHEN_LAST_STOPPED = "When the last container with it has stopped (no failed logins)";
export const IMMEDIATELY = "Immediately, after a leak";

/** What a rotation does, in order. */
export function rotationSteps(login: Login, immediately: boolean): string[] {
  const tested = `The other app login, ${otherLogin(login)}, gets a new password, and stagedb tests it.`;
  const redeployed = "The containers are redeployed with the new login.";
  return immediately
    ? [tested, `stagedb publishes the new password, disables ${login.user}, and ends its sessions.`, redeployed]
    : [tested, redeployed, `When the last old container has stopped, stagedb disables ${login.user}.`];
}

/** What an immediate rotation breaks. */
export function whatFails({ user }: Login): string {
  return `All sessions of ${user} end as soon as the new password is published. Containers that haven't been replaced yet can't connect, and neither can jobs that are still running.`;
}

export const MASTER_TOO = "After the rebuild, the master user also gets a new password through RDS, and stagedb tests it.";

/** What the button that starts a rotation says. */
export function rotationVerb(immediately: boolean): string {
  return immediately ? "Rotate and end sessions" : "Rotate password";
}

/** Whether the login from before is still enabled. */
export function isUnsettled(login: Known): boolean {
  return login?.isSettled === false;
}

/** The user, and what it is: “app_1 (app login)”. */
export function loginInWords(login: Known): string {
  return isAppLogin(login) ? `${login?.user ?? ""} (app login)` : `${MASTER} (master user)`;
}

/** Since when the app login has its password. The master user's password can be from another time. */
export function passwordAge(login: Known): string | undefined {
  return isAppLogin(login) ? `Password since ${day(login?.since ?? "")}` : undefined;
}

/** When the password is rotated next. A rotation that's due waits until the stage can be rebuilt. */
export function nextRotation(login: Known, now: number): string | undefined {
  const at = login?.nextRotationAt;
  if (at == null) return undefined;
  return Date.parse(at) > now ? `Next rotation: ${date(at)}` : `Rotation due since ${date(at)}`;
}

/** Whether the password can be rotated, and why not. */
export function rotationLock(access: Access, running: boolean): Lock {
  return lockOf(access, running && WAIT);
}
