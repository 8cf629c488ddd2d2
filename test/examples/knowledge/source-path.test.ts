import assert from "node:assert/strict";
import { InvalidArgument } from "../../../src/domain/errors.ts";
import { ingestKind } from "../../../examples/knowledge/ingest/ingest.ts";
import { SOURCE_PATH_CHARS_MAX } from "../../../examples/knowledge/source-path.ts";
import { synthKind } from "../../../examples/knowledge/synth/synth.ts";

describe("the params of ingest", () => {
  const kind = ingestKind({ db: undefined as never, namespace: "", sourcesDir: "" });

  it("accept a path below the sources in any form", () => {
    for (const path of ["docs", "./docs", "docs/", ".//docs/./"]) {
      assert.deepEqual(kind.parseParams({ path }), { path: "docs" });
    }
    assert.equal(kind.exclusiveKey(kind.parseParams({ path: "./a//b/" })), "ingest:a/b");
    assert.equal(kind.exclusiveKey(kind.parseParams({ path: "./" })), "ingest:.");
    assert.ok(kind.parseParams({ path: "x".repeat(SOURCE_PATH_CHARS_MAX) }));
    assert.deepEqual(kind.parseParams({ path: "a..b/c.d.." }), { path: "a..b/c.d.." });
  });

  it("are refused with the field for any other path", () => {
    const refused = {
      "must not be empty; . is the whole tree": "",
      "must be relative to the sources": "/etc",
      "must not hold ..": "a/../../b",
      "must not hold a NUL character": "a\0b",
      "must not name a hidden folder or node_modules": "docs/.git",
      [`must be at most ${SOURCE_PATH_CHARS_MAX} characters`]: "x".repeat(SOURCE_PATH_CHARS_MAX + 1),
    };
    for (const [description, path] of Object.entries(refused)) {
      assert.throws(() => kind.parseParams({ path }), new InvalidArgument([{ field: "params.path", description }]));
    }
    for (const path of ["..", "../a", "a/.."]) assert.throws(() => kind.parseParams({ path }), InvalidArgument);
  });

  it("are refused if one is missing, unknown or not a string", () => {
    const fieldsOf = (params: Record<string, string | number>) => {
      try {
        kind.parseParams(params);
      } catch (error) {
        if (error instanceof InvalidArgument) return error.violations.map((violation) => violation.field);
        throw error;
      }
      return [];
    };
    assert.deepEqual(fieldsOf({}), ["params.path"]);
    assert.deepEqual(fieldsOf({ path: 1 }), ["params.path"]);
    assert.deepEqual(fieldsOf({ path: "docs", pth: "docs" }), ["params.pth"]);
  });
});

describe("the params of synth", () => {
  const kind = synthKind({ db: undefined as never, namespace: "", model: null });

  it("have defaults", () => {
    assert.deepEqual(kind.parseParams({}), { path: ".", force_all: false, require_model: false });
    assert.equal(kind.exclusiveKey(kind.parseParams({ path: "docs/" })), "synth:docs");
  });

  it("are refused if one is unknown or has another type", () => {
    const refused = [{ all: true }, { force_all: "yes" }, { path: "../a" }, { path: null }, { require_model: 1 }];
    for (const params of refused) assert.throws(() => kind.parseParams(params), InvalidArgument);
  });
});
