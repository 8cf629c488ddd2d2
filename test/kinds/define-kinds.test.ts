import assert from "node:assert/strict";
import { InvalidArgument } from "../../src/domain/errors.ts";
import { KIND_CHARS_MAX } from "../../src/domain/limits.ts";
import { defineKinds } from "../../src/kinds/define-kinds.ts";

const open = () => ({ kinds: [] });
const step = (name: string) => ({ name, up: async () => {} });

/** The fields that a package is refused for; none: it is made. */
function refused(options: Partial<Parameters<typeof defineKinds>[0]>): string[] {
  try {
    defineKinds({ name: "test", open, ...options });
    return [];
  } catch (error) {
    assert.ok(error instanceof InvalidArgument);
    return error.violations.map(({ field }) => field);
  }
}

describe("a package of kinds", () => {
  it("has no migrations by default", () => {
    assert.deepEqual(defineKinds({ name: "test", open }), { name: "test", migrations: [], open });
  });

  it("is refused if its name is not valid in messages", () => {
    for (const name of ["a", "A-1._z", "x".repeat(KIND_CHARS_MAX)]) assert.deepEqual(refused({ name }), []);
    for (const name of ["", "a/b", "é", "x".repeat(KIND_CHARS_MAX + 1)]) assert.deepEqual(refused({ name }), ["name"]);
  });

  it("accepts migrations in any order of names and refuses two with the same name", () => {
    assert.deepEqual(refused({ migrations: [step("b"), step("a")] }), []);
    assert.deepEqual(refused({ migrations: [step("a"), step("b"), step("a")] }), ["migrations"]);
  });
});
