import assert from "node:assert/strict";
import { backoffMs } from "../../src/async/backoff.ts";
import { RetryBudget, retryWhile } from "../../src/async/retry.ts";

const BACKOFF = { firstMs: 1, maxMs: 1 };

/** A call that throws the errors, one each time, and then succeeds. */
function failing(errors: readonly Error[]) {
  const left = [...errors];
  return async () => {
    const error = left.shift();
    if (error !== undefined) throw error;
    return "done";
  };
}

const always = () => true;

describe("the delay between tries", () => {
  it("doubles with each failure, up to its maximum", () => {
    const delays = [1, 2, 3, 6, 2_000].map((failures) => backoffMs(failures, { firstMs: 50, maxMs: 1_000 }));
    assert.deepEqual(delays, [50, 100, 200, 1_000, 1_000]);
  });

  it("is shortened at random by at most the jitter", () => {
    for (let count = 0; count < 100; count++) {
      const delay = backoffMs(2, { firstMs: 100, maxMs: 5_000, jitter: 0.5 });
      assert.ok(delay > 100 && delay <= 200, String(delay));
    }
  });
});

describe("a retried call", () => {
  it("succeeds after transient errors and reports each error, and the outage once", async () => {
    const errors = [new Error("one"), new Error("two"), new Error("three")];
    const failures: unknown[] = [];
    const outages: unknown[] = [];
    const options = {
      backoff: BACKOFF,
      onFailure: (error: unknown) => failures.push(error),
      onOutage: (error: unknown) => outages.push(error),
    };
    assert.equal(await retryWhile(always, failing(errors), options), "done");
    assert.deepEqual([failures, outages], [errors, errors.slice(0, 1)]);
  });

  it("throws an error that is not transient at once", async () => {
    const [transient, lasting] = [new Error("transient"), new Error("lasting")];
    const failures: unknown[] = [];
    const onFailure = (error: unknown) => failures.push(error);
    const call = failing([transient, lasting]);
    await assert.rejects(
      retryWhile((error) => error !== lasting, call, { backoff: BACKOFF, onFailure }),
      lasting,
    );
    assert.deepEqual(failures, [transient]);
  });

  it("throws the last error when its time is over", async () => {
    const error = new Error("failed");
    await assert.rejects(retryWhile(always, failing([error]), { totalMs: 0 }), error);
    await assert.rejects(retryWhile(always, failing([error]), { totalMs: 60_000, leastMs: () => 60_001 }), error);
  });

  it("throws the signal's reason if the signal fires during a delay", async () => {
    const controller = new AbortController();
    const reason = new Error("the server stops");
    const onFailure = () => controller.abort(reason);
    const options = { leastMs: () => Infinity, signal: controller.signal, onFailure };
    await assert.rejects(retryWhile(always, failing([new Error("failed")]), options), reason);
  });
});

describe("a retry budget", () => {
  it("starts again from the first delay after a success", () => {
    const budget = new RetryBudget(always, { backoff: { firstMs: 50, maxMs: 1_000 } });
    const error = new Error("failed");
    assert.deepEqual([budget.nextDelayMs(error), budget.nextDelayMs(error)], [50, 100]);
    budget.succeeded();
    assert.equal(budget.nextDelayMs(error), 50);
  });
});
