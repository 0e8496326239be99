import { expect, it } from "vitest";
import { accessTo, hasRole, lockOf, type Me, registersSomewhere, roleOn, rolesInWords, type StageAccess, WAIT } from "./access";

const ADMINS = "Only admins can do this, and your role is editor.";
const EDITOR: StageAccess = {
  stack: "shop",
  stage: "dev",
  role: "editor",
  protected: false,
  operations: [
    { operation: "putDatabase", allowed: true },
    { operation: "previewDatabase", allowed: true },
    { operation: "deleteDatabase", allowed: false, reason: ADMINS },
    { operation: "putProtection", allowed: false },
  ],
};
const me = (role: string | undefined, ...stacks: [string, string][]): Me => ({
  subject: "a",
  ...(role === undefined ? {} : { role }),
  stacks: stacks.map(([stack, of]) => ({ stack, role: of })),
});

it("an operation is allowed if the API says so, and otherwise has the API's reason", () => {
  expect(accessTo(EDITOR, false, ["putDatabase", "previewDatabase"])).toEqual({ allowed: true });
  expect(accessTo(EDITOR, false, ["putDatabase", "deleteDatabase"])).toEqual({ allowed: false, reason: ADMINS });
  expect(accessTo(EDITOR, false, ["putProtection"])).toEqual({ allowed: false, reason: "Your role doesn't allow this." });
});

it("until the API has answered, nothing is allowed and there's no reason", () => {
  expect(accessTo(undefined, false, ["putDatabase"])).toEqual({ allowed: false });
  expect(registersSomewhere(undefined, false)).toEqual({ allowed: false });
});

it("if the API can't answer, nothing is locked, and an earlier answer stays", () => {
  expect(accessTo(undefined, true, ["putDatabase"])).toEqual({ allowed: true });
  expect(accessTo(EDITOR, true, ["deleteDatabase"]).allowed).toBe(false);
  expect(registersSomewhere(undefined, true)).toEqual({ allowed: true });
});

it("the reason of a button is the role's, then the first of the others", () => {
  expect(lockOf({ allowed: false, reason: ADMINS }, WAIT)).toEqual({ disabled: true, disabledReason: ADMINS });
  expect(lockOf({ allowed: false }, WAIT)).toEqual({ disabled: true });
  expect(lockOf({ allowed: true }, false, WAIT, "Later.")).toEqual({ disabled: true, disabledReason: WAIT });
  expect(lockOf({ allowed: true }, false, undefined)).toEqual({ disabled: false });
});

it("a role on a stack is the one on everything, unless the stack has a higher one", () => {
  expect(roleOn(me("viewer", ["shop", "admin"]), "shop")).toBe("admin");
  expect(roleOn(me("viewer", ["shop", "admin"]), "blog")).toBe("viewer");
  expect(roleOn(me(undefined, ["shop", "viewer"]), "blog")).toBeUndefined();
  expect([me(undefined), me("viewer"), me(undefined, ["shop", "viewer"])].map(hasRole)).toEqual([false, true, true]);
});

it("an editor of any stack can register a stage, and a viewer learns who can", () => {
  for (const one of [me("editor"), me("admin"), me("viewer", ["shop", "editor"]), me(undefined, ["shop", "admin"])]) {
    expect(registersSomewhere(one, false)).toEqual({ allowed: true });
  }
  expect(registersSomewhere(me("viewer"), false).reason).toContain("your role is viewer. Editors are the members of the group stagedb-editor");
  expect(registersSomewhere(me(undefined, ["shop", "viewer"]), false).reason).toContain("your role is viewer");
});

it("roles are shown in words", () => {
  expect(rolesInWords(me("admin"))).toBe("Admin");
  expect(rolesInWords(me("viewer", ["shop", "admin"], ["blog", "editor"]))).toBe("Viewer, Admin of shop, Editor of blog");
  expect(rolesInWords(me(undefined))).toBe("No role");
});
