/* oxlint-disable unicorn/no-thenable -- thenables are among the odd values */
import { runInNewContext } from "node:vm";
import type { JsonObject } from "../../src/domain/json.ts";
import { no, hostile, revoked, having, alternating, circular, rethrow, UNTOLD } from "./odd-objects.ts";

type Resolve = (value: unknown) => void;

/** What code may return: the result that is stored, or why it is refused. */
export interface OddResult {
  name: string;
  make: () => unknown;
  stored?: JsonObject;
  /** What the message says of it. */
  refused?: RegExp;
}

export const ODD_RESULTS: readonly OddResult[] = [
  { name: "nothing", make: () => undefined, stored: {} },
  { name: "null", make: () => null, stored: {} },
  { name: "true", make: () => true, refused: /result: must be a JSON object/ },
  { name: "a number", make: () => 42, refused: /result: must be a JSON object/ },
  { name: "a text", make: () => "done", refused: /result: must be a JSON object/ },
  { name: "a symbol", make: () => Symbol("odd"), refused: /result: must be a JSON object/ },
  { name: "a bigint", make: () => 1n, refused: /result: must be a JSON object/ },
  { name: "a function", make: () => no, refused: /result: must be a JSON object/ },
  { name: "an array", make: () => [1], refused: /result: must be a JSON object/ },
  { name: "an object without prototype", make: () => Object.assign(Object.create(null), { a: 1 }), stored: { a: 1 } },
  { name: "a frozen object", make: () => Object.freeze({ a: Object.freeze([1]) }), stored: { a: [1] } },
  { name: "-0", make: () => ({ a: -0 }), stored: { a: 0 } },
  { name: "NaN", make: () => ({ a: NaN }), refused: /result\.a: must be a finite number/ },
  { name: "Infinity", make: () => ({ a: [1, -Infinity] }), refused: /result\.a\[1\]: must be a finite number/ },
  { name: "a bigint within", make: () => ({ a: 1n }), refused: /result\.a: must be JSON, not bigint/ },
  { name: "undefined within", make: () => ({ a: undefined }), refused: /result\.a: must be JSON, not undefined/ },
  { name: "a function within", make: () => ({ a: no }), refused: /result\.a: must be JSON, not function/ },
  { name: "a symbol within", make: () => ({ a: Symbol("x") }), refused: /result\.a: must be JSON, not symbol/ },
  { name: "a key that is a symbol", make: () => ({ [Symbol("x")]: 1, a: 1 }), stored: { a: 1 } },
  { name: "an unpaired surrogate", make: () => ({ a: "\udc00" }), refused: /result\.a: .*unpaired surrogate/ },
  { name: "one in a key", make: () => ({ "\ud800": 1 }), refused: /unpaired surrogate/ },
  { name: "NUL", make: () => ({ a: "a\0b", "\0": 1 }), stored: { a: "a\0b", "\0": 1 } },
  { name: "a Map", make: () => new Map([["a", 1]]), refused: /result: must be a plain object/ },
  { name: "a Set within", make: () => ({ a: new Set() }), refused: /result\.a: must be a plain object/ },
  { name: "a Date", make: () => ({ a: new Date(0) }), refused: /result\.a: must be a plain object/ },
  { name: "a RegExp", make: () => /x/, refused: /result: must be a plain object/ },
  { name: "an error", make: () => new Error("returned"), refused: /result: must be a plain object/ },
  { name: "bytes", make: () => ({ a: new Uint8Array(4) }), refused: /result\.a: must be a plain object/ },
  { name: "a boxed number", make: () => ({ a: Object(1) as object }), refused: /result\.a: must be a plain object/ },
  { name: "an instance of a class", make: () => new (class Odd {})(), refused: /result: must be a plain object/ },
  { name: "an object of another realm", make: () => runInNewContext("({})") as object, refused: /plain object/ },
  { name: "an async iterator", make: iterator, refused: /result: must be a plain object/ },
  {
    name: "an array with holes",
    make: () => ({
      a: Object.assign(
        Array.from({ length: 1 }, () => 1),
        { 2: 3 },
      ),
    }),
    refused: /result\.a\[1\]: must be JSON, not undefined/,
  },
  {
    name: "an array of 2^32 - 1 holes",
    make: () => ({ a: Object.assign([], { length: 2 ** 32 - 1 }) }),
    refused: /result\.a\[0\]/,
  },
  { name: "an object that holds itself", make: circular, refused: /must not nest deeper/ },
  { name: "32 levels", make: () => nested(32), stored: nested(32) },
  { name: "33 levels", make: () => nested(33), refused: /must not nest deeper/ },
  { name: "100,000 levels", make: deep, refused: /must not nest deeper/ },
  {
    name: "more than 3 MiB",
    make: () => ({ a: "x".repeat(3 * 1024 * 1024) }),
    refused: /result: must be at most 3145728/,
  },
  { name: "3 MiB by its escapes", make: () => ({ a: "\0".repeat(1_000_000) }), refused: /result: must be at most/ },
  { name: "one text of 4 MB a million times", make: repeated, refused: /result: must be at most/ },
  { name: "a proxy without an end", make: endless, refused: /result: must hold at most 250,000 values/ },
  {
    name: "a getter that throws",
    make: () => having({}, { a: { enumerable: true, get: no } }),
    refused: /^not to be read$/,
  },
  { name: "a getter that changes", make: () => having({}, { a: alternating(1, NaN, "x") }), stored: { a: 1 } },
  { name: "a getter that grows", make: () => having({}, { a: alternating(1, nested(40)) }), stored: { a: 1 } },
  { name: "a getter that is not enumerable", make: () => having({ a: 1 }, { b: { get: no } }), stored: { a: 1 } },
  { name: "a toJSON that throws", make: () => ({ toJSON: no }), refused: /result\.toJSON: must be JSON, not function/ },
  { name: "a hidden toJSON that throws", make: () => having({ a: 1 }, { toJSON: { value: no } }), stored: { a: 1 } },
  {
    name: "an array's toJSON that throws",
    make: () => ({ a: Object.assign([1], { toJSON: no }) }),
    stored: { a: [1] },
  },
  {
    name: "a member named __proto__",
    make: () => JSON.parse('{"__proto__": {"a": 1}}') as object,
    stored: JSON.parse('{"__proto__": {"a": 1}}') as JsonObject,
  },
  { name: "a member named then", make: () => ({ then: 1 }), stored: { then: 1 } },
  { name: "a revoked proxy", make: () => revoked({}), refused: /revoked/ },
  { name: "a revoked proxy within", make: () => ({ a: revoked([]) }), refused: /revoked/ },
  { name: "a proxy whose traps throw", make: () => hostile({}), refused: /^a trap$/ },
  { name: "a proxy of an object", make: () => new Proxy({ a: 1 }, {}), stored: { a: 1 } },
  { name: "a proxy whose traps throw nothing that can be read", make: silent, refused: UNTOLD },
  { name: "a thenable that throws", make: () => ({ then: no }), refused: /^not to be read$/ },
  {
    name: "a thenable whose then throws when it is read",
    make: () => having({}, { then: { get: no } }),
    refused: /^not to be read$/,
  },
  { name: "a thenable that settles twice", make: () => ({ then: settleTwice }), stored: { first: true } },
  { name: "a thenable that settles and throws", make: () => ({ then: settleAndThrow }), stored: { first: true } },
  { name: "a thenable that rejects with a revoked proxy", make: () => ({ then: rejectRevoked }), refused: UNTOLD },
  {
    name: "a thenable of a thenable",
    make: () => ({ then: (resolve: Resolve) => resolve({ then: settleTwice }) }),
    stored: { first: true },
  },
];

function nested(levels: number): JsonObject {
  return levels === 1 ? {} : { in: nested(levels - 1) };
}

function settleTwice(resolve: Resolve, reject: Resolve): void {
  resolve({ first: true });
  resolve({ first: false });
  reject(new Error("late"));
}

function settleAndThrow(resolve: Resolve): never {
  resolve({ first: true });
  return no();
}

function rejectRevoked(_: Resolve, reject: Resolve): void {
  reject(revoked({}));
}

function deep(): object {
  let object = {};
  for (let level = 0; level < 100_000; level++) object = { in: object };
  return object;
}

function repeated(): object {
  return { a: Array<string>(1_000_000).fill("x".repeat(4_000_000)) };
}

/** An array that has as many items as there are numbers. */
function endless(): object {
  return { a: new Proxy([], { get: (_, name) => (name === "length" ? 2 ** 53 - 1 : 1) }) };
}

function silent(): object {
  return new Proxy({}, { ownKeys: () => rethrow(revoked({})) });
}

async function* iterator(): AsyncGenerator<number> {
  yield 1;
}
