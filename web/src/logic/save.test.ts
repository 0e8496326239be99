import { describe, expect, it } from "vitest";
import { ATTACH, attachBody, fieldSentence, formOf, NEW, ownBody, shownRotationDays } from "./save";

describe("the body of a save", () => {
  it("for a new database has every required value and no unknown one", () => {
    expect(ownBody(NEW, "new")).toEqual({
      body: {
        source: "created",
        instanceClass: "db.t4g.micro",
        storageGiB: 20,
        maxStorageGiB: null,
        multiAz: false,
        backupRetentionDays: 7,
        appLogin: true,
        rotationDays: 0,
        apply: "now",
        databaseName: "app",
      },
    });
  });

  it("for a database restored from a snapshot names the snapshot", () => {
    const form = { ...NEW, fromSnapshot: "shop-dev-postgres-1" };
    expect(ownBody(form, "snapshot")).toMatchObject({ body: { fromSnapshot: "shop-dev-postgres-1", appLogin: true } });
    expect(ownBody(NEW, "snapshot")).toEqual({ errors: { "/fromSnapshot": "Choose a snapshot." } });
  });

  it("is replaced by an error at the field if a value is invalid", () => {
    for (const storageGiB of ["", "20.5", "-1", "2e3", "many"]) {
      expect(ownBody({ ...NEW, storageGiB }, "new")).toHaveProperty(["errors", "/storageGiB"]);
    }
    expect(ownBody({ ...NEW, maxStorageGiB: "x" }, "new")).toHaveProperty(["errors", "/maxStorageGiB"]);
    const inPlace = { ...NEW.inPlace, backupRetentionDays: "" };
    expect(ownBody({ ...NEW, inPlace }, "new")).toHaveProperty(["errors", "/backupRetentionDays"]);
    for (const rotationDays of ["", "-1", "1.5", "monthly"]) {
      expect(ownBody({ ...NEW, rotationDays }, "new")).toEqual({
        errors: { "/rotationDays": "Enter a whole number from 0 to 365." },
      });
    }
    expect(ownBody({ ...NEW, databaseName: " " }, "new")).toHaveProperty(["errors", "/databaseName"]);
  });

  it("rotates the password only with the app login, and keeps what the user typed without it", () => {
    const form = { ...NEW, rotationDays: "30" };
    expect(ownBody(form, "new")).toMatchObject({ body: { appLogin: true, rotationDays: 30 } });
    for (const rotationDays of ["30", "", "monthly"]) {
      const without = { ...form, rotationDays, appLogin: false };
      expect(ownBody(without, "new")).toMatchObject({ body: { appLogin: false, rotationDays: 0 } });
      expect(shownRotationDays(without)).toBe("0");
      expect(shownRotationDays({ ...without, appLogin: true })).toBe(rotationDays);
    }
  });

  it("for an attached database has only the chosen credentials", () => {
    const form = { ...ATTACH, identifier: "orders", kind: "instance", databaseName: "orders", username: "clerk", password: "p", secretArn: "arn:x" };
    expect(attachBody({ ...form, credentials: "typed" })).toMatchObject({
      body: { credentials: { username: "clerk", password: "p" } },
    });
    expect(attachBody({ ...form, credentials: "secret" })).toMatchObject({ body: { credentials: { secretArn: "arn:x" } } });
    expect(attachBody({ ...form, credentials: "kept" })).toEqual({
      body: { source: "attached", identifier: "orders", kind: "instance", databaseName: "orders" },
    });
    expect(attachBody(ATTACH)).toEqual({
      errors: {
        "/identifier": "Choose a database.",
        "/databaseName": "Enter a database name.",
        "/credentials/secretArn": "Enter the ARN of a secret.",
      },
    });
  });
});

it("saving a form without edits leaves the settings unchanged", () => {
  for (const appLogin of [true, false]) {
    const settings = {
      source: "created" as const,
      instanceClass: "db.t4g.small",
      storageGiB: 30,
      maxStorageGiB: 100,
      multiAz: true,
      backupRetentionDays: 14,
      engineVersion: "17",
      databaseName: "app",
      appLogin,
      rotationDays: appLogin ? 90 : 0,
      apply: "maintenance-window",
    };
    const form = formOf(settings);
    expect(form).toBeDefined();
    if (form) expect(ownBody(form, "change")).toEqual({ body: settings });
  }
  expect(formOf({ source: "none" })).toBeUndefined();
});

it("an API error for a field becomes a sentence", () => {
  expect(fieldSentence("must be 20 or more")).toBe("Must be 20 or more.");
  expect(fieldSentence("is wrong.")).toBe("Is wrong.");
  expect(fieldSentence(undefined)).toBeUndefined();
});
