import { describe, expect, it } from "vitest";
import { ATTACH, attachBody, fieldSentence, formOf, NEW, ownBody } from "./save";

describe("a form becomes the body of a Save", () => {
  it("of a new database, with what is needed and nothing that is not known", () => {
    expect(ownBody(NEW, "new")).toEqual({
      body: {
        source: "created",
        instanceClass: "db.t4g.micro",
        storageGiB: 20,
        maxStorageGiB: null,
        multiAz: false,
        backupRetentionDays: 7,
        apply: "now",
        databaseName: "app",
      },
    });
  });

  it("of one that begins with a snapshot", () => {
    const form = { ...NEW, fromSnapshot: "shop-dev-postgres-1" };
    expect(ownBody(form, "snapshot")).toMatchObject({ body: { fromSnapshot: "shop-dev-postgres-1" } });
    expect(ownBody(NEW, "snapshot")).toEqual({ errors: { "/fromSnapshot": "must be chosen" } });
  });

  it("not where a number is none, and then with the field", () => {
    for (const storageGiB of ["", "20.5", "-1", "2e3", "many"]) {
      expect(ownBody({ ...NEW, storageGiB }, "new")).toHaveProperty(["errors", "/storageGiB"]);
    }
    expect(ownBody({ ...NEW, maxStorageGiB: "x" }, "new")).toHaveProperty(["errors", "/maxStorageGiB"]);
    expect(ownBody({ ...NEW, backupRetentionDays: "" }, "new")).toHaveProperty(["errors", "/backupRetentionDays"]);
    expect(ownBody({ ...NEW, databaseName: " " }, "new")).toHaveProperty(["errors", "/databaseName"]);
  });

  it("of an attachment, with the credentials that were chosen and no others", () => {
    const form = { ...ATTACH, identifier: "orders", kind: "instance", databaseName: "orders", username: "clerk", password: "p", secretArn: "arn:x" };
    expect(attachBody({ ...form, credentials: "typed" })).toMatchObject({
      body: { credentials: { username: "clerk", password: "p" } },
    });
    expect(attachBody({ ...form, credentials: "secret" })).toMatchObject({ body: { credentials: { secretArn: "arn:x" } } });
    expect(attachBody({ ...form, credentials: "kept" })).toEqual({
      body: { source: "attached", identifier: "orders", kind: "instance", databaseName: "orders" },
    });
    expect(attachBody(ATTACH)).toEqual({
      errors: { "/identifier": "must be chosen", "/databaseName": "is required", "/credentials/secretArn": "is required" },
    });
  });
});

it("settings are shown as they were chosen, and saving them again changes nothing", () => {
  const settings = {
    source: "created" as const,
    instanceClass: "db.t4g.small",
    storageGiB: 30,
    maxStorageGiB: 100,
    multiAz: true,
    backupRetentionDays: 14,
    engineVersion: "17",
    databaseName: "app",
    apply: "maintenance-window",
  };
  const form = formOf(settings);
  expect(form).toBeDefined();
  if (form) expect(ownBody(form, "change")).toEqual({ body: settings });
  expect(formOf({ source: "none" })).toBeUndefined();
});

it("what the API says of a field becomes a sentence", () => {
  expect(fieldSentence("must be 20 or more")).toBe("Must be 20 or more.");
  expect(fieldSentence("is wrong.")).toBe("Is wrong.");
  expect(fieldSentence(undefined)).toBeUndefined();
});
