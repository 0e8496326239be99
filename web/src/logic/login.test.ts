import { expect, it } from "vitest";
import { WAIT } from "./access";
import {
  isAppLogin,
  isUnsettled,
  loginInWords,
  nextRotation,
  otherLogin,
  passwordAge,
  rotationLock,
  rotationSteps,
  rotationVerb,
  whatFails,
} from "./login";

const SINCE = "2026-11-03T12:00:00Z";
const login = (user: string, isSettled = true) => ({ user, isSettled, since: SINCE });

it("a login is shown with what it is, and without one it's the master user", () => {
  const logins = [login("app_1"), login("app_2"), login("postgres"), null, undefined];
  expect(logins.map(loginInWords)).toEqual([
    "app_1 (app login)", "app_2 (app login)", "postgres (master user)", "postgres (master user)", "postgres (master user)",
  ]);
  expect(logins.map(isAppLogin)).toEqual([true, true, false, false, false]);
});

it("a rotation goes to the other login and back", () => {
  expect(["app_1", "app_2"].map((user) => otherLogin(login(user)))).toEqual(["app_2", "app_1"]);
});

it("a rotation disables the login from before at the end, or before the containers are redeployed", () => {
  expect(rotationSteps(login("app_1"), false)).toEqual([
    "The other app login, app_2, gets a new password, and stagedb tests it.",
    "The containers are redeployed with the new login.",
    "When the last old container has stopped, stagedb disables app_1.",
  ]);
  expect(rotationSteps(login("app_2"), true)).toEqual([
    "The other app login, app_1, gets a new password, and stagedb tests it.",
    "stagedb publishes the new password, disables app_2, and ends its sessions.",
    "The containers are redeployed with the new login.",
  ]);
  expect(whatFails(login("app_2"))).toMatch(/^All sessions of app_2 end .* can't connect/);
  expect([false, true].map(rotationVerb)).toEqual(["Rotate password", "Rotate and end sessions"]);
});

it("a login is unsettled only if the API says so", () => {
  expect([login("app_1", false), login("postgres", false), login("app_1"), null, undefined].map(isUnsettled)).toEqual([
    true, true, false, false, false,
  ]);
});

it("only the password of an app login has an age", () => {
  expect([login("app_1"), login("app_2", false), login("postgres"), null, undefined].map(passwordAge)).toEqual([
    "Password since Nov 3, 2026", "Password since Nov 3, 2026", undefined, undefined, undefined,
  ]);
});

it("the next rotation has a time, and says so if it's due", () => {
  const scheduled = { ...login("app_1"), nextRotationAt: "2026-12-03T12:00:00Z" };
  const at = Date.parse(scheduled.nextRotationAt);
  expect(nextRotation(scheduled, at - 1)).toMatch(/^Next rotation: Dec \d, 2026, \d{1,2}:00\s[AP]M \S+$/);
  expect(nextRotation(scheduled, at)).toMatch(/^Rotation due since Dec \d, 2026, /);
  for (const none of [{ ...scheduled, nextRotationAt: null }, login("app_1"), null, undefined]) {
    expect(nextRotation(none, at)).toBeUndefined();
  }
});

it("the password can't be rotated without the role, or during a rebuild", () => {
  const allowed = { allowed: true };
  expect(rotationLock(allowed, false)).toEqual({ disabled: false });
  expect(rotationLock(allowed, true)).toEqual({ disabled: true, disabledReason: WAIT });
  expect(rotationLock({ allowed: false, reason: "Ask an editor." }, true)).toEqual({
    disabled: true,
    disabledReason: "Ask an editor.",
  });
});
