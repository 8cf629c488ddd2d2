/* oxlint-disable unicorn/no-thenable -- thenables are among the odd values */
import { runInNewContext } from "node:vm";
import type { JsonObject } from "../../src/domain/json.ts";
import { TaskError } from "../../src/domain/kind.ts";
import { no, hostile, revoked, having, alternating, circular, rethrow, UNTOLD } from "./odd-objects.ts";

/** What code may throw or reject with. Each is made anew, and ends its attempt as failed. */
export interface OddThrow {
  name: string;
  make: () => unknown;
  /** KIND_FAILED where it is left out. */
  reason?: string;
  message?: RegExp;
}

export const ODD_THROWS: readonly OddThrow[] = [
  { name: "undefined", make: () => undefined, message: /^undefined$/ },
  { name: "null", make: () => null, message: /^null$/ },
  { name: "true", make: () => true, message: /^true$/ },
  { name: "NaN", make: () => NaN, message: /^NaN$/ },
  { name: "-0", make: () => -0, message: /^0$/ },
  { name: "a bigint", make: () => 2n ** 70n, message: /^1180591620717411303424$/ },
  { name: "a symbol", make: () => Symbol("odd"), message: /^Symbol\(odd\)$/ },
  { name: "an empty text", make: () => "", message: /^$/ },
  { name: "a text of 40 MB", make: () => "x".repeat(40_000_000), message: /^x{16384}$/ },
  { name: "an unpaired surrogate", make: () => "a\ud800b", message: /^a\ufffdb$/ },
  { name: "a text cut within a pair", make: () => `${"x".repeat(16_383)}😀`, message: /^x{16383}\ufffd$/ },
  { name: "NUL", make: () => "a\0b", message: /^a\0b$/ },
  { name: "a function", make: () => no, message: /function no/ },
  { name: "a class", make: () => TaskError, message: /class TaskError/ },
  { name: "an object", make: () => ({}), message: /^\[object Object\]$/ },
  { name: "an array", make: () => [1, [2]], message: /^1,2$/ },
  { name: "an object without prototype", make: () => Object.create(null) as object, message: UNTOLD },
  { name: "a revoked proxy", make: () => revoked({}), message: UNTOLD },
  { name: "a revoked proxy of an error", make: () => revoked(new Error("x")), message: UNTOLD },
  { name: "a revoked proxy of a TaskError", make: () => revoked(new TaskError("X", "x")), message: UNTOLD },
  { name: "a revoked proxy of a function", make: () => revoked(no), message: UNTOLD },
  { name: "a proxy whose traps throw", make: () => hostile({}), message: UNTOLD },
  { name: "a proxy of an error whose traps throw", make: () => hostile(new Error("x")), message: UNTOLD },
  { name: "an object whose toString throws", make: () => ({ toString: no }), message: UNTOLD },
  { name: "one whose toString gives an object", make: () => ({ toString: () => ({}) }) },
  { name: "one whose Symbol.toPrimitive throws", make: () => ({ [Symbol.toPrimitive]: no }), message: UNTOLD },
  { name: "one whose toString throws a revoked proxy", make: () => ({ toString: () => rethrow(revoked({})) }) },
  { name: "one whose toJSON throws", make: () => ({ toJSON: no }) },
  { name: "one whose toJSON gives itself", make: endlessJson },
  { name: "one that holds itself", make: circular },
  { name: "an array that holds itself", make: () => circular().in },
  { name: "a thenable", make: () => ({ then: no }) },
  { name: "a promise that rejects later", make: () => new Promise(() => {}) },
  { name: "a Date without a time", make: () => new Date(NaN), message: /Invalid Date/ },
  { name: "an error without a message", make: () => new Error(), message: /^$/ },
  { name: "an error of another realm", make: () => runInNewContext("new Error('there')") as Error, message: /there/ },
  { name: "an error that is frozen", make: () => Object.freeze(new Error("cold")), message: /^cold$/ },
  { name: "an error that is its own cause", make: causedByItself, message: /^caused by itself$/ },
  {
    name: "an error with a revoked cause",
    make: () => new Error("caused", { cause: revoked({}) }),
    message: /^caused$/,
  },
  { name: "an error of errors", make: () => new AggregateError([no, revoked({})], "many"), message: /^many$/ },
  { name: "an error whose message throws", make: () => having(new Error("x"), { message: { get: no } }) },
  {
    name: "an error whose message is a symbol",
    make: () => having(new Error("x"), { message: { value: Symbol("m") } }),
  },
  {
    name: "an error whose message is an object",
    make: () => having(new Error("x"), { message: { value: hostile({}) } }),
  },
  { name: "an error whose stack throws", make: () => having(new Error("x"), { stack: { get: no } }), message: /^x$/ },
  { name: "an error whose name throws", make: () => having(new Error("x"), { name: { get: no } }), message: /^x$/ },
  { name: "an error whose name is a bigint", make: () => having(new Error("x"), { name: { value: 1n } }) },
  { name: "an error whose code throws", make: () => having(new Error("x"), { code: { get: no } }), message: /^x$/ },
  { name: "an error whose code is a bigint", make: () => having(new Error("x"), { code: { value: 1n } }) },
  { name: "an error whose constructor throws", make: () => having(new Error("x"), { constructor: { get: no } }) },
  { name: "an error whose cause throws", make: () => having(new Error("x"), { cause: { get: no } }), message: /^x$/ },
  {
    name: "an AbortError that nobody asked for",
    make: () => new DOMException("stop", "AbortError"),
    message: /^stop$/,
  },
  { name: "a TaskError", make: () => new TaskError("ODD", "odd"), reason: "ODD", message: /^odd$/ },
  { name: "a TaskError with a reason in small letters", make: () => new TaskError("odd one", "odd"), message: /^odd$/ },
  { name: "a TaskError whose reason is an object", make: () => new TaskError({} as string, "odd"), message: /^odd$/ },
  { name: "a TaskError whose reason throws", make: () => having(new TaskError("X", "odd"), { reason: { get: no } }) },
  {
    name: "a TaskError whose reason changes",
    make: () => having(new TaskError("X", "odd"), { reason: alternating("FIRST", "second") }),
    reason: "FIRST",
  },
  { name: "a TaskError whose retryable throws", make: unaskable, reason: "ODD", message: /^odd$/ },
  {
    name: "a TaskError whose details throw",
    make: () => having(new TaskError("ODD", "odd"), { details: { get: no } }),
    reason: "ODD",
    message: /its details could not be recorded/,
  },
  {
    name: "a TaskError with details that hold themselves",
    make: () => new TaskError("ODD", "odd", { details: circular() as unknown as JsonObject }),
    reason: "ODD",
    message: /its details could not be recorded/,
  },
  {
    name: "a TaskError with details that change",
    make: () => new TaskError("ODD", "odd", { details: having({}, { a: alternating(1, no) }) as JsonObject }),
    reason: "ODD",
    message: /^odd$/,
  },
  {
    name: "a TaskError whose details' toJSON throws",
    make: () => new TaskError("ODD", "odd", { details: having({}, { toJSON: { value: no } }) }),
    reason: "ODD",
    message: /^odd$/,
  },
];

function causedByItself(): Error {
  const error = new Error("caused by itself");
  error.cause = error;
  return error;
}

function unaskable(): TaskError {
  return having(new TaskError("ODD", "odd"), { retryable: { get: no } });
}

function endlessJson(): object {
  const object = { toJSON: (): unknown => object };
  return object;
}
