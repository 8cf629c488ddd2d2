import assert from "node:assert/strict";
import fc from "fast-check";
import { certainEnd, endAttempt } from "../../src/domain/lifecycle.ts";
import type { AttemptOutcome, DecisionContext, StopReason } from "../../src/domain/lifecycle.ts";
import { ATTEMPTS_MAX } from "../../src/domain/limits.ts";
import { retryDelayMs } from "../../src/domain/retry.ts";
import { TASK_STATUSES } from "../../src/domain/task.ts";
import { after, ALL_HAPPENINGS, AT, FAILURE, HAPPENINGS, next, OWNED, short, task } from "./happenings.ts";
import type { Life } from "./happenings.ts";
import { POLICY } from "./policies.ts";

const RUNS = { numRuns: 1_000 };

const LIFE: fc.Arbitrary<Life> = fc
  .record({
    status: fc.constantFrom(...TASK_STATUSES),
    used: fc.integer({ min: 0, max: 4 }),
    maxAttempts: fc.integer({ min: 1, max: 4 }),
    handovers: fc.integer({ min: 0, max: 9 }),
    crashes: fc.integer({ min: 0, max: 4 }),
    retryPolicy: POLICY,
    deadlineAt: fc.option(fc.integer({ min: -5_000, max: 600_000 }).map((ms) => after(ms))),
    cancelRequestedAt: fc.option(fc.constant(AT)),
    cancelReason: fc.option(fc.constantFrom("", "enough")),
  })
  .map(({ used, ...life }) => ({ ...life, attempt: life.handovers + used }));

const CONTEXTS: fc.Arbitrary<DecisionContext> = fc.record({
  at: fc.integer({ min: 0, max: 600_000 }).map((ms) => after(ms)),
  random: fc.double({ min: 0, max: 1, noNaN: true }),
});

const OUTCOME: fc.Arbitrary<AttemptOutcome> = fc.oneof(
  fc.constant<AttemptOutcome>({ type: "returned", result: { a: 1 } }),
  fc.record({
    type: fc.constant("threw" as const),
    failure: fc.constant(FAILURE),
    because: fc.option(fc.constantFrom<StopReason[]>("cancel", "deadline", "shutdown", "handover", "lost")),
    isFinal: fc.boolean(),
  }),
);

/** Everything that can happen to a task of any kind at any time. */
function whatever(
  check: (life: Life, context: DecisionContext, happening: (typeof ALL_HAPPENINGS)[number]) => void,
): void {
  fc.assert(
    fc.property(LIFE, CONTEXTS, fc.constantFrom(...ALL_HAPPENINGS), (life, context, happening) => {
      if (!OWNED.includes(happening) || life.status === "running") check(life, context, happening);
    }),
    { numRuns: 5_000 },
  );
}

describe("a task, whatever happens,", () => {
  it("is not retried after a cancel request", () => {
    whatever((life, context, happening) => {
      const wanted = { ...life, cancelRequestedAt: AT };
      assert.notEqual(HAPPENINGS[happening](wanted, context).type, "requeue");
    });
  });

  it("has its next attempt before its deadline and not in the past, or none", () => {
    whatever((life, context, happening) => {
      const transition = HAPPENINGS[happening](life, context);
      if (transition.type !== "requeue") return;
      assert.ok(transition.nextAttemptAt >= context.at);
      assert.ok(life.deadlineAt === null || transition.nextAttemptAt < life.deadlineAt);
      const { next_attempt_at: told } = JSON.parse(transition.event.body) as { next_attempt_at: string };
      assert.equal(told, transition.nextAttemptAt.toISOString());
    });
  });

  it("waits as its policy says for the number of failed attempts", () => {
    whatever((life, context, happening) => {
      const transition = HAPPENINGS[happening](life, context);
      if (transition.type !== "requeue") return;
      const failures = life.attempt - life.handovers;
      const delayMs = transition.isHandover ? 0 : retryDelayMs(life.retryPolicy, failures, context.random);
      assert.deepEqual(transition.nextAttemptAt, after(delayMs, context.at));
    });
  });
});

describe("a task that is handed over", () => {
  it("never uses up its attempts by handovers", () => {
    let life = task({ maxAttempts: 1 });
    for (let count = 0; count < 3 * ATTEMPTS_MAX; count++) {
      const transition = HAPPENINGS.handover(life);
      assert.equal(short(transition), "handover");
      assert.ok(transition.type === "requeue");
      const waiting = next(life, transition);
      life = { ...waiting, status: "running", attempt: waiting.attempt + 1 };
    }
    assert.equal(short(HAPPENINGS.lost(life)), "failed WORKER_LOST");
  });

  it("keeps all its attempts, and waits after each as if there had been no handover", () => {
    fc.assert(
      fc.property(
        fc.array(fc.boolean(), { maxLength: 40 }),
        fc.integer({ min: 1, max: 5 }),
        POLICY,
        (handovers, maxAttempts, retryPolicy) => {
          let life: Life = task({ maxAttempts, retryPolicy });
          let failures = 0;
          for (const isHandover of handovers) {
            const transition = isHandover ? HAPPENINGS.handover(life) : HAPPENINGS.threw(life);
            if (!isHandover) failures++;
            if (failures === maxAttempts) {
              assert.equal(short(transition), "failed NOT_YET");
              return;
            }
            assert.ok(transition.type === "requeue" && transition.isHandover === isHandover);
            if (!isHandover) {
              assert.deepEqual(transition.nextAttemptAt, after(retryDelayMs(retryPolicy, failures, 0)));
            }
            const waiting = next(life, transition);
            life = { ...waiting, status: "running", attempt: waiting.attempt + 1 };
          }
        },
      ),
      RUNS,
    );
  });
});

describe("an end from certainEnd", () => {
  /** How a task may have changed by the time its attempt ends. Nothing else of it changes meanwhile. */
  const SINCE = fc.record({
    cancelRequestedAt: fc.option(fc.constant(AT)),
    cancelReason: fc.option(fc.constantFrom("", "enough")),
  });

  it("is the end of the attempt in any state of the task and at any time", () => {
    fc.assert(
      fc.property(LIFE, OUTCOME, SINCE, CONTEXTS, (life, outcome, since, context) => {
        const begun: Life = { ...life, status: "running" };
        const certain = certainEnd(begun, outcome);
        if (certain !== null) assert.deepEqual(endAttempt({ ...begun, ...since }, outcome, context), certain);
      }),
      { numRuns: 5_000 },
    );
  });

  it("is every end that a cancel cannot change", () => {
    fc.assert(
      fc.property(LIFE, OUTCOME, CONTEXTS, (life, outcome, context) => {
        const wanted: Life = { ...life, status: "running", cancelRequestedAt: AT };
        const isCancelled = short(endAttempt(wanted, outcome, context)) === "cancelled CANCELLED";
        assert.equal(certainEnd(wanted, outcome) === null, isCancelled);
      }),
      RUNS,
    );
  });
});
