import fc from "fast-check";
import { RETRY_BOUNDS } from "../../src/domain/retry.ts";
import type { RetryPolicy } from "../../src/domain/retry.ts";

const waitMs = ([min, max]: readonly [number, number]) =>
  fc.oneof(fc.integer({ min, max }), fc.integer({ min, max: 10_000 }));

const number = ([min, max]: readonly [number, number]) =>
  fc.oneof(fc.constantFrom(min, max), fc.double({ min, max, noNaN: true }));

/** Any retry policy that a kind or a start may set. */
export const POLICY: fc.Arbitrary<RetryPolicy> = fc.record({
  initialBackoffMs: waitMs(RETRY_BOUNDS.initialBackoffMs),
  maxBackoffMs: waitMs(RETRY_BOUNDS.maxBackoffMs),
  backoffMultiplier: number(RETRY_BOUNDS.backoffMultiplier),
  jitter: number(RETRY_BOUNDS.jitter),
});
