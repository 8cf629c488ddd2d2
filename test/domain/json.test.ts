import assert from "node:assert/strict";
import { fromJson, toBinary } from "@bufbuild/protobuf";
import { StructSchema, ValueSchema } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { canonicalJson, digestJson } from "../../src/domain/canonical-json.ts";
import { copyJson } from "../../src/domain/json-copy.ts";
import { measureJson, NotJson } from "../../src/domain/json-size.ts";
import { PARAMS_VALUES_MAX } from "../../src/domain/limits.ts";
import type { JsonObject, JsonValue } from "../../src/domain/json.ts";

const DEPTH = 32;

/** JSON input: strings of any characters, keys with a meaning in JavaScript, numbers of any size. */
const anyKey = fc.oneof(
  fc.string({ unit: "binary", maxLength: 8 }),
  fc.constantFrom("", "__proto__", "constructor", "toString", "0", "10", "\0", "é", "\u{1f600}"),
);
const anyText = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.constantFrom("\0", "\u2028", "\u{10ffff}", "x".repeat(127), "x".repeat(128), "é".repeat(64), "y".repeat(20_000)),
);
const anyJson = fc.letrec<{ value: JsonValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    fc.constantFrom(null, true, false),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => number + 0),
    anyText,
    fc.array(tie("value"), { maxLength: 5 }),
    fc.array(fc.tuple(anyKey, tie("value")), { maxLength: 5 }).map((members) => parsed(members)),
  ),
})).value;

/** An object as JSON.parse creates it: __proto__ is an ordinary key. */
function parsed(members: [string, JsonValue][]): JsonObject {
  const text = members.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`);
  return JSON.parse(`{${text.join(",")}}`) as JsonObject;
}

const shuffled = (value: JsonValue): JsonValue => {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(shuffled);
  return parsed(
    Object.entries(value)
      .toReversed()
      .map(([key, member]) => [key, shuffled(member)]),
  );
};

const nested = (depth: number): JsonValue =>
  depth === 0 ? 1 : depth % 2 === 0 ? [nested(depth - 1)] : { a: nested(depth - 1) };

function problem(value: unknown, depth = DEPTH): [string, string] | null {
  try {
    measureJson(value, depth, "", PARAMS_VALUES_MAX);
    return null;
  } catch (error) {
    assert.ok(error instanceof NotJson);
    return [error.path, error.problem];
  }
}

describe("measureJson", () => {
  it("returns the size as google.protobuf.Value, and of an object as a Struct field", () =>
    fc.assert(
      fc.property(anyJson, (value) => {
        assert.equal(measureJson(value, DEPTH), toBinary(ValueSchema, fromJson(ValueSchema, value)).length);
        if (typeof value !== "object" || value === null || Array.isArray(value)) return;
        const struct = toBinary(StructSchema, fromJson(StructSchema, value)).length;
        const lengthBytes = struct < 0x80 ? 1 : struct < 0x4000 ? 2 : struct < 0x20_0000 ? 3 : 4;
        assert.equal(measureJson(value, DEPTH), 1 + lengthBytes + struct);
      }),
      { numRuns: 1_000 },
    ));

  it("is exact where a length takes one more byte", () => {
    for (const length of [0, 1, 121, 122, 123, 124, 125, 126, 127, 128, 16_370, 16_383, 16_384, 2_097_151, 2_097_152]) {
      for (const value of ["x".repeat(length), { a: "x".repeat(length) }, ["x".repeat(length)]]) {
        assert.equal(measureJson(value, DEPTH), toBinary(ValueSchema, fromJson(ValueSchema, value)).length);
      }
    }
  });

  it("accepts at most valuesMax values of any type, and names the path that holds them", () => {
    for (const value of [null, {}, [], "a", 1, true]) {
      const held = (count: number) => ({ a: Array.from({ length: count }, () => value) });
      assert.equal(problem(held(PARAMS_VALUES_MAX - 2)), null); // The object and the list are two of them.
      assert.deepEqual(problem(held(PARAMS_VALUES_MAX - 1)), ["", "must hold at most 20,000 values"]);
    }
    const wide = Object.fromEntries(Array.from({ length: PARAMS_VALUES_MAX }, (_, index) => [`k${index}`, 0]));
    assert.throws(
      () => measureJson(wide, DEPTH, "params", PARAMS_VALUES_MAX),
      /^NotJson: params: must hold at most 20,000 values/,
    );
    assert.equal(problem({}), null); // The count restarts.
  });

  it("returns at least a sixth of the size as JSON text", () =>
    fc.assert(
      fc.property(anyJson, (value) => {
        assert.ok(Buffer.byteLength(JSON.stringify(value)) <= 6 * measureJson(value, DEPTH));
      }),
    ));

  it("rejects values that JSON or protobuf would change, and names their path", () => {
    const where = (value: unknown) => problem({ a: [0, { b: value }] })?.[0];
    for (const value of [NaN, Infinity, -Infinity, undefined, 1n, () => {}, Symbol("s"), "\ud800", "a\udc00b"]) {
      assert.equal(where(value), "a[1].b");
    }
    for (const value of [new Date(0), new Map(), new (class Named {})(), Buffer.from("a"), new String("a")]) {
      assert.equal(where(value), "a[1].b");
    }
    assert.equal(problem([, 1])?.[0], "[0]"); // eslint-disable-line no-sparse-arrays -- It is the subject.
    assert.equal(problem({ "\ud800": 1 })?.[0], "\ud800");
    assert.deepEqual(problem("\ud800")?.[0], "");
    for (const value of [{ a: "\0" }, Object.create(null), -0, "\u{1f600}", JSON.parse('{"__proto__":{"a":1}}')]) {
      assert.equal(problem(value), null);
    }
    assert.notEqual(problem(JSON.parse('{"__proto__":{"a":1e400}}')), null);
  });

  it("accepts the maximum depth, and nothing deeper", () => {
    for (const depth of [0, 1, 2, DEPTH]) {
      assert.equal(problem(nested(depth), depth), null);
      assert.equal(problem(nested(depth + 1), depth)?.[1], "must not nest deeper");
    }
    const circle: { self?: unknown } = {};
    circle.self = circle;
    assert.notEqual(problem(circle), null);
  });
});

describe("canonical JSON", () => {
  it("is the same for equal values in any key order, and parses to the value", () =>
    fc.assert(
      fc.property(anyJson, (value) => {
        const text = canonicalJson(value);
        assert.equal(canonicalJson(shuffled(value)), text);
        assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(value)));
        assert.equal(digestJson(shuffled(value)), digestJson(value));
      }),
    ));

  it("has one digest for each value", () =>
    fc.assert(
      fc.property(anyJson, anyJson, (one, two) => {
        const [first, second] = [one, two].map((value) => JSON.parse(JSON.stringify(value)) as JsonValue);
        let isSame = true;
        try {
          assert.deepEqual(first, second);
        } catch {
          isSame = false;
        }
        assert.equal(digestJson(one) === digestJson(two), isSame);
      }),
    ));

  it("differs for values that look alike", () => {
    const values: JsonValue[] = [
      null,
      "null",
      0,
      "0",
      false,
      "",
      [],
      {},
      [[]],
      [{}],
      { "": null },
      { a: [] },
      { a: {} },
    ];
    values.push(
      { a: 1, b: 2 },
      { a: 12 },
      { "a:1": 2 },
      ["a", "b"],
      ["a,b"],
      ['a","b'],
      JSON.parse('{"__proto__":1}') as JsonValue,
    );
    assert.equal(new Set(values.map(digestJson)).size, values.length);
    assert.equal(digestJson({ n: 1.0 }), digestJson({ n: 1 }));
    assert.equal(digestJson({ n: -0 }), digestJson({ n: 0 }));
    assert.equal(canonicalJson({ b: [1, { d: null, c: "\n" }], a: true }), '{"a":true,"b":[1,{"c":"\\n","d":null}]}');
  });
});

describe("a copy of JSON", () => {
  it("equals the value and has the same measure", () => {
    fc.assert(
      fc.property(anyJson, (value) => {
        const copied = copyJson(value, { depthMax: DEPTH, bytesMax: Infinity })!;
        assert.deepEqual(copied, { copy: value, bytes: measureJson(value, DEPTH) });
      }),
    );
  });

  it("is made up to the size limit, and not beyond", () => {
    for (const value of ["x".repeat(500), ["x", 1, [true]], { a: { b: ["x".repeat(300)] } }] as JsonValue[]) {
      const bytes = measureJson(value, DEPTH);
      assert.deepEqual(copyJson(value, { depthMax: DEPTH, bytesMax: bytes }), { copy: value, bytes });
      assert.equal(copyJson(value, { depthMax: DEPTH, bytesMax: bytes - 1 }), null);
    }
  });
});
