import assert from "node:assert/strict";
import * as v from "valibot";
import { InvalidArgument } from "../../src/domain/errors.ts";
import { KIND_CHARS_MAX } from "../../src/domain/limits.ts";
import { DEFAULT_RETRY_POLICY, RETRY_BOUNDS, resolveRetry } from "../../src/domain/retry.ts";
import { defineKind } from "../../src/kinds/define-kind.ts";
import type { RetrySettings } from "../../src/kinds/define-kind.ts";

const BOUNDS = Object.entries(RETRY_BOUNDS) as [keyof RetrySettings, readonly [min: number, max: number]][];

function kindWith(options: Partial<Parameters<typeof defineKind<object>>[0]>) {
  return defineKind({ name: "test", params: v.strictObject({}), run: async () => {}, ...options });
}

/** The fields that a kind with these settings is refused for; none: it is made. */
function refused(options: Partial<Parameters<typeof defineKind<object>>[0]>): string[] {
  try {
    kindWith(options);
    return [];
  } catch (error) {
    assert.ok(error instanceof InvalidArgument);
    return error.violations.map(({ field }) => field);
  }
}

describe("a defined kind", () => {
  it("has defaults for omitted settings: one attempt, not resumable, no exclusive key", () => {
    const kind = kindWith({});
    assert.deepEqual([kind.retry, kind.resumable, kind.exclusiveKey({})], [{}, false, null]);
  });

  it("has the settings of its definition", () => {
    const retry = { maxAttempts: 3, initialBackoffMs: 10, jitter: 0 };
    const kind = kindWith({ retry, resumable: true, exclusive: () => "key" });
    assert.deepEqual([kind.retry, kind.resumable, kind.exclusiveKey({})], [retry, true, "key"]);
  });

  it("is refused if no start could request its name", () => {
    for (const name of ["a", "A-1._z", "x".repeat(KIND_CHARS_MAX)]) assert.deepEqual(refused({ name }), []);
    for (const name of ["", "a b", "é", "x".repeat(KIND_CHARS_MAX + 1)]) assert.deepEqual(refused({ name }), ["name"]);
  });

  for (const [setting, [min, max]] of BOUNDS) {
    it(`is refused if retry.${setting} is not within ${min} and ${max}`, () => {
      const step = setting === "jitter" || setting === "backoffMultiplier" ? 0.001 : 1;
      for (const value of [min, max]) assert.deepEqual(refused({ retry: { [setting]: value } }), []);
      for (const value of [min - step, max + step, NaN, Infinity, -Infinity]) {
        assert.deepEqual(refused({ retry: { [setting]: value } }), [`retry.${setting}`], `${value}`);
      }
      const isFraction = refused({ retry: { [setting]: min + 0.5 } }).length === 0;
      assert.equal(isFraction, step < 1);
    });
  }

  it("is refused with all invalid retry settings at once", () => {
    const retry = { maxAttempts: 0, initialBackoffMs: 1.5, maxBackoffMs: 1, jitter: 2 };
    assert.deepEqual(refused({ retry }), ["retry.maxAttempts", "retry.initialBackoffMs", "retry.jitter"]);
  });

  it("uses the default for a retry setting that is undefined", () => {
    const unset = Object.fromEntries(BOUNDS.map(([setting]) => [setting, undefined])) as RetrySettings;
    const { maxAttempts, retryPolicy } = resolveRetry(
      { maxAttempts: null, retryPolicy: {} },
      kindWith({ retry: unset }).retry,
    );
    assert.deepEqual([maxAttempts, retryPolicy], [1, DEFAULT_RETRY_POLICY]);
  });
});
