import assert from "node:assert/strict";
import fc from "fast-check";
import { ATTEMPTS_DEFAULT, ATTEMPTS_MAX } from "../../src/domain/limits.ts";
import { DEFAULT_RETRY_POLICY, resolveRetry, retryDelayMs } from "../../src/domain/retry.ts";
import type { RetryPolicy } from "../../src/domain/retry.ts";
import { POLICY } from "./policies.ts";

const FAILURES = fc.integer({ min: 1, max: ATTEMPTS_MAX });
const RANDOM = fc.oneof(fc.constantFrom(0, 0.5, 1), fc.double({ min: 0, max: 1, noNaN: true }));

function policy(settings: Partial<RetryPolicy> = {}): RetryPolicy {
  return { ...DEFAULT_RETRY_POLICY, jitter: 0, ...settings };
}

function nominalMs({ initialBackoffMs, maxBackoffMs, backoffMultiplier }: RetryPolicy, failures: number): number {
  return Math.min(maxBackoffMs, initialBackoffMs * backoffMultiplier ** (failures - 1));
}

describe("the wait before the next attempt", () => {
  const delays = (settings: Partial<RetryPolicy>, failures: number[], random = 0) =>
    failures.map((count) => retryDelayMs(policy(settings), count, random));

  it("is by default 1 s, doubled with each failure, at most 5 min, with a random fifth", () => {
    const failures = [1, 2, 3, 4, 9, 10, 100, 2_000];
    const seconds = [1, 2, 4, 8, 256, 300, 300, 300];
    const wait = (random: number) => failures.map((count) => retryDelayMs(DEFAULT_RETRY_POLICY, count, random));
    assert.deepEqual(
      wait(0),
      seconds.map((s) => s * 1_000),
    );
    assert.deepEqual(
      wait(1),
      seconds.map((s) => s * 800),
    );
  });

  it("grows by the multiplier up to its maximum", () => {
    const settings = { initialBackoffMs: 10, backoffMultiplier: 3, maxBackoffMs: 800 };
    assert.deepEqual(delays(settings, [1, 2, 3, 4, 5, 6, 100]), [10, 30, 90, 270, 800, 800, 800]);
    assert.deepEqual(delays({ ...settings, maxBackoffMs: 270 }, [3, 4, 5]), [90, 270, 270]);
    assert.deepEqual(delays({ ...settings, maxBackoffMs: 269 }, [3, 4, 5]), [90, 269, 269]);
    assert.deepEqual(delays({ ...settings, maxBackoffMs: 5 }, [1, 2]), [5, 5]);
    assert.deepEqual(delays({ ...settings, backoffMultiplier: 1 }, [1, 2, 100]), [10, 10, 10]);
    assert.deepEqual(delays({ ...settings, backoffMultiplier: 1.5 }, [1, 2, 3, 4]), [10, 15, 23, 34]);
  });

  it("is shortened at random by at most the jitter's share", () => {
    const shortest = (jitter: number) => delays({ jitter }, [1, 2], 1);
    assert.deepEqual(
      [shortest(0), shortest(0.5), shortest(1)],
      [
        [1_000, 2_000],
        [500, 1_000],
        [0, 0],
      ],
    );
    for (const jitter of [0, 0.5, 1]) assert.deepEqual(delays({ jitter }, [1, 2], 0), [1_000, 2_000]);
    assert.deepEqual(delays({ jitter: 0.5 }, [1, 2], 0.5), [750, 1_500]);
    assert.deepEqual(delays({ jitter: 1, maxBackoffMs: 1_500 }, [2, 3], 0.5), [750, 750]);
  });

  it("is in whole milliseconds, within the range of the jitter, for every policy", () => {
    fc.assert(
      fc.property(POLICY, FAILURES, RANDOM, (any, failures, random) => {
        const delayMs = retryDelayMs(any, failures, random);
        const nominal = nominalMs(any, failures);
        assert.ok(Number.isSafeInteger(delayMs));
        assert.ok(delayMs >= Math.floor((1 - any.jitter) * nominal), `${delayMs} of ${nominal}`);
        assert.ok(delayMs <= Math.ceil(nominal), `${delayMs} of ${nominal}`);
        assert.ok(delayMs <= any.maxBackoffMs);
      }),
      { numRuns: 5_000 },
    );
  });

  it("never becomes shorter with more failures", () => {
    fc.assert(
      fc.property(POLICY, FAILURES, RANDOM, (any, failures, random) => {
        assert.ok(retryDelayMs(any, failures + 1, random) >= retryDelayMs(any, failures, random));
      }),
    );
  });
});

describe("resolveRetry", () => {
  const NOTHING = { maxAttempts: null, retryPolicy: {} };
  const KIND: RetryPolicy = { initialBackoffMs: 1, maxBackoffMs: 2, backoffMultiplier: 3, jitter: 0.4 };
  const START: RetryPolicy = { initialBackoffMs: 10, maxBackoffMs: 20, backoffMultiplier: 30, jitter: 0 };
  const SETTINGS = Object.keys(DEFAULT_RETRY_POLICY) as (keyof RetryPolicy)[];

  it("returns the default object itself if nothing is set", () => {
    const { maxAttempts, retryPolicy } = resolveRetry(NOTHING, {});
    assert.equal(maxAttempts, ATTEMPTS_DEFAULT);
    assert.equal(retryPolicy, DEFAULT_RETRY_POLICY);
    assert.equal(
      resolveRetry({ maxAttempts: 4, retryPolicy: {} }, { maxAttempts: 3 }).retryPolicy,
      DEFAULT_RETRY_POLICY,
    );
  });

  for (const setting of SETTINGS) {
    it(`prefers the start, then the kind, then the default: ${setting}`, () => {
      const [byKind, byStart] = [{ [setting]: KIND[setting] }, { [setting]: START[setting] }];
      const resolve = (retryPolicy: Partial<RetryPolicy>, kind: Partial<RetryPolicy>) =>
        resolveRetry({ maxAttempts: null, retryPolicy }, kind).retryPolicy;
      assert.deepEqual(resolve({}, byKind), { ...DEFAULT_RETRY_POLICY, ...byKind });
      assert.deepEqual(resolve(byStart, {}), { ...DEFAULT_RETRY_POLICY, ...byStart });
      assert.deepEqual(resolve(byStart, byKind), { ...DEFAULT_RETRY_POLICY, ...byStart });
      // Only this setting: the others come from the kind.
      assert.deepEqual(resolve(byStart, KIND), { ...KIND, ...byStart });
      assert.deepEqual(resolve(START, byKind), START);
    });
  }

  it("does the same for the number of attempts", () => {
    const attempts = (byStart: number | null, byKind?: number) =>
      resolveRetry({ maxAttempts: byStart, retryPolicy: {} }, byKind === undefined ? {} : { maxAttempts: byKind })
        .maxAttempts;
    assert.deepEqual([attempts(null), attempts(null, 3), attempts(2), attempts(2, 3), attempts(1, 3)], [1, 3, 2, 2, 1]);
  });

  it("does not change its arguments", () => {
    const [start, kind] = [
      { maxAttempts: 2, retryPolicy: { jitter: 0 } },
      { maxAttempts: 3, initialBackoffMs: 7 },
    ];
    const resolved = resolveRetry(start, kind);
    assert.deepEqual(resolved, {
      maxAttempts: 2,
      retryPolicy: { ...DEFAULT_RETRY_POLICY, jitter: 0, initialBackoffMs: 7 },
    });
    assert.deepEqual(start, { maxAttempts: 2, retryPolicy: { jitter: 0 } });
    assert.deepEqual(kind, { maxAttempts: 3, initialBackoffMs: 7 });
    assert.deepEqual(DEFAULT_RETRY_POLICY, {
      initialBackoffMs: 1_000,
      maxBackoffMs: 300_000,
      backoffMultiplier: 2,
      jitter: 0.2,
    });
  });
});
