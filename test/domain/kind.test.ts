import assert from "node:assert/strict";
import * as v from "valibot";
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { InvalidArgument } from "../../src/domain/errors.ts";
import { parseBySchema, TaskError } from "../../src/domain/kind.ts";

/** A schema that reports these issues or returns this value. */
function schema(outcome: unknown): StandardSchemaV1<unknown, unknown> {
  return { "~standard": { version: 1, vendor: "test", validate: () => outcome as StandardSchemaV1.Result<unknown> } };
}

function violations(parse: () => unknown) {
  try {
    parse();
  } catch (error) {
    assert.ok(error instanceof InvalidArgument);
    return error.violations;
  }
  throw new Error("it was not refused");
}

describe("the params of a kind with a schema", () => {
  it("have defaults filled in", () => {
    const params = v.strictObject({ count: v.optional(v.number(), 5), tags: v.optional(v.array(v.string()), []) });
    assert.deepEqual(parseBySchema(params, { tags: ["a"] }, "params"), { count: 5, tags: ["a"] });
  });

  it("name each invalid field by its path", () => {
    const params = v.strictObject({ count: v.number(), list: v.array(v.object({ name: v.string() })) });
    const wrong = { count: "1", list: [{ name: "a" }, { name: 2 }], other: true };
    const fields = violations(() => parseBySchema(params, wrong, "params")).map(({ field }) => field);
    assert.deepEqual(fields.sort(), ["params.count", "params.list.1.name", "params.other"]);
  });

  it("accept issue paths of keys, of objects with keys, and without a path", () => {
    const issues = [
      { message: "all" },
      { message: "empty", path: [] },
      { message: "plain", path: ["a", 0, Symbol("s")] },
      { message: "wrapped", path: [{ key: "a" }, { key: 0 }] },
    ];
    assert.deepEqual(
      violations(() => parseBySchema(schema({ issues }), {}, "params")),
      [
        { field: "params", description: "all" },
        { field: "params", description: "empty" },
        { field: "params.a.0.Symbol(s)", description: "plain" },
        { field: "params.a.0", description: "wrapped" },
      ],
    );
  });

  it("are the schema's output, even if it is undefined", () => {
    for (const value of [undefined, null, 0, "text"])
      assert.equal(parseBySchema(schema({ value }), {}, "params"), value);
  });

  it("reject an asynchronous schema", () => {
    assert.throws(() => parseBySchema(schema(Promise.resolve({ value: 1 })), {}, "params"), TypeError);
  });
});

describe("a TaskError", () => {
  it("is retryable by default", () => {
    assert.equal(new TaskError("NOT_YET", "again").retryable, true);
    assert.equal(new TaskError("NOT_YET", "again", { details: { a: 1 } }).retryable, true);
    assert.equal(new TaskError("NEVER", "no use", { retryable: false }).retryable, false);
  });

  it("keeps its reason, message, details and cause", () => {
    const cause = new Error("within");
    const error = new TaskError("NEVER", "no use", { details: { a: 1 }, cause });
    assert.deepEqual([error.reason, error.message, error.details, error.cause], ["NEVER", "no use", { a: 1 }, cause]);
    assert.equal(new TaskError("NEVER", "no use").details, undefined);
  });
});
