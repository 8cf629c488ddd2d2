import assert from "node:assert/strict";
import fc from "fast-check";
import { requestCancel, stopAttempt } from "../../src/domain/lifecycle.ts";
import type { StopReason, Transition } from "../../src/domain/lifecycle.ts";
import { isTerminal, TASK_STATUSES } from "../../src/domain/task.ts";
import {
  after,
  ALL_HAPPENINGS,
  asked,
  AT,
  FAILURE,
  HAPPENINGS,
  CONTEXT,
  next,
  OWNED,
  short,
  task,
} from "./happenings.ts";
import type { Happening, Life } from "./happenings.ts";

const STOP_REASONS: StopReason[] = ["cancel", "deadline", "shutdown", "handover", "lost"];

/** The tasks to which every event is applied. */
const LIVES = {
  waiting: task({ status: "pending", attempt: 0 }),
  running: task(),
  asked: asked(),
  retriable: task({ maxAttempts: 2 }),
  /** Its deadline is now, and it has attempts left. */
  late: task({ maxAttempts: 2, deadlineAt: AT }),
  "late, waiting": task({ status: "pending", attempt: 0, deadlineAt: AT }),
} satisfies Record<string, Life>;

/** The effect of each event; null: it cannot happen. */
const TABLE: Record<Happening, Record<keyof typeof LIVES, string | null>> = {
  cancel: {
    waiting: "cancelled CANCELLED",
    running: "ask",
    asked: "unchanged",
    retriable: "ask",
    late: "ask",
    "late, waiting": "cancelled CANCELLED",
  },
  returned: {
    waiting: null,
    running: "succeeded",
    asked: "succeeded",
    retriable: "succeeded",
    late: "succeeded",
    "late, waiting": null,
  },
  threw: {
    waiting: null,
    running: "failed NOT_YET",
    asked: "failed NOT_YET",
    retriable: "requeue",
    late: "failed NOT_YET",
    "late, waiting": null,
  },
  "threw, final": {
    waiting: null,
    running: "failed NOT_YET",
    asked: "failed NOT_YET",
    retriable: "failed NOT_YET",
    late: "failed NOT_YET",
    "late, waiting": null,
  },
  "threw, cancelled": {
    waiting: null,
    running: "cancelled CANCELLED",
    asked: "cancelled CANCELLED",
    retriable: "cancelled CANCELLED",
    late: "cancelled CANCELLED",
    "late, waiting": null,
  },
  "threw, overdue": {
    waiting: null,
    running: "failed DEADLINE_EXCEEDED",
    asked: "cancelled CANCELLED",
    retriable: "requeue",
    late: "failed DEADLINE_EXCEEDED",
    "late, waiting": null,
  },
  "threw, handed over": {
    waiting: null,
    running: "handover",
    asked: "cancelled CANCELLED",
    retriable: "handover",
    late: "failed DEADLINE_EXCEEDED",
    "late, waiting": null,
  },
  "cancel overdue": {
    waiting: "unchanged",
    running: "cancelled CANCELLED",
    asked: "cancelled CANCELLED",
    retriable: "cancelled CANCELLED",
    late: "cancelled CANCELLED",
    "late, waiting": "unchanged",
  },
  deadline: {
    waiting: "unchanged",
    running: "failed DEADLINE_EXCEEDED",
    asked: "cancelled CANCELLED",
    retriable: "requeue",
    late: "failed DEADLINE_EXCEEDED",
    "late, waiting": "unchanged",
  },
  shutdown: {
    waiting: "unchanged",
    running: "failed SERVER_SHUTDOWN",
    asked: "cancelled CANCELLED",
    retriable: "requeue",
    late: "failed DEADLINE_EXCEEDED",
    "late, waiting": "unchanged",
  },
  handover: {
    waiting: "unchanged",
    running: "handover",
    asked: "cancelled CANCELLED",
    retriable: "handover",
    late: "failed DEADLINE_EXCEEDED",
    "late, waiting": "unchanged",
  },
  lost: {
    waiting: "unchanged",
    running: "failed WORKER_LOST",
    asked: "cancelled CANCELLED",
    retriable: "requeue",
    late: "failed DEADLINE_EXCEEDED",
    "late, waiting": "unchanged",
  },
  expired: {
    waiting: "unchanged",
    running: "unchanged",
    asked: "unchanged",
    retriable: "unchanged",
    late: "unchanged",
    "late, waiting": "failed DEADLINE_EXCEEDED",
  },
};

describe("the lifecycle of a task", () => {
  for (const happening of ALL_HAPPENINGS) {
    it(`changes as in the table by: ${happening}`, () => {
      const decide = HAPPENINGS[happening];
      for (const [name, expected] of Object.entries(TABLE[happening])) {
        if (expected !== null) assert.equal(short(decide(LIVES[name as keyof typeof LIVES])), expected, name);
      }
      // Used-up attempts count like a single only attempt, also if some attempts were handed over.
      const { running, retriable } = TABLE[happening];
      assert.equal(short(decide(task({ maxAttempts: 2, attempt: 2 }))), running);
      assert.equal(short(decide(task({ maxAttempts: 2, attempt: 5, handovers: 3 }))), running);
      assert.equal(short(decide(task({ maxAttempts: 2, attempt: 5, handovers: 4 }))), retriable);
      // A future deadline changes nothing: the next attempt can start in a second.
      assert.equal(short(decide(task({ maxAttempts: 2, deadlineAt: after(1_001) }))), retriable);
      if (OWNED.includes(happening)) return;
      for (const status of TASK_STATUSES.filter(isTerminal)) {
        for (const life of [task({ status }), asked({ status }), task({ status, maxAttempts: 9, deadlineAt: AT })]) {
          assert.deepEqual(decide(life), { type: "unchanged" });
        }
      }
    });
  }

  it("records on the tape what happened", () => {
    assert.deepEqual(bodyIn(requestCancel(task(), { reason: "", by: null })), { reason: "" });
    assert.deepEqual(bodyIn(HAPPENINGS.returned(task())), { status: "succeeded", result: { a: 1 } });
    for (const happening of ["threw", "threw, final"] as const) {
      assert.deepEqual(bodyIn(HAPPENINGS[happening](task())), { status: "failed", error: FAILURE });
    }
    assert.deepEqual(bodyIn(HAPPENINGS.threw(task({ maxAttempts: 2 }))), {
      error: FAILURE,
      next_attempt_at: after(1_000).toISOString(),
    });
    assert.deepEqual(bodyIn(HAPPENINGS.handover(task())), {
      error: { reason: "SERVER_SHUTDOWN", message: "the process that ran the task was shut down" },
      next_attempt_at: AT.toISOString(),
    });
    const message = (life: Life) => (bodyIn(HAPPENINGS.lost(life)) as { error: { message: string } }).error.message;
    assert.equal(message(asked({ cancelReason: "enough" })), "enough");
    for (const none of ["", null]) assert.equal(message(asked({ cancelReason: none })), "the task was cancelled");
  });

  it("tells the attempt's timeout from the task's deadline", () => {
    const message = (transition: Transition) => (bodyIn(transition) as { error: { message: string } }).error.message;
    assert.equal(message(HAPPENINGS.deadline(LIVES.running)), "the attempt ran longer than its timeout");
    for (const passed of [HAPPENINGS.deadline(LIVES.late), HAPPENINGS.expired(LIVES["late, waiting"])]) {
      assert.equal(message(passed), "the task has passed its deadline");
    }
  });

  it("ends at the deadline, and not a millisecond earlier", () => {
    const waiting = (deadlineAt: Date) =>
      short(HAPPENINGS.expired(task({ status: "pending", attempt: 0, deadlineAt })));
    const running = (deadlineAt: Date) => short(HAPPENINGS.handover(task({ deadlineAt })));
    assert.deepEqual([waiting(AT), running(AT)], ["failed DEADLINE_EXCEEDED", "failed DEADLINE_EXCEEDED"]);
    assert.deepEqual([waiting(after(-1)), running(after(-1))], [waiting(AT), running(AT)]);
    assert.deepEqual([waiting(after(1)), running(after(1))], ["unchanged", "handover"]);
  });

  it("ends as cancelled after a cancel request, even if the deadline has passed", () => {
    for (const because of STOP_REASONS) {
      const late = asked({ deadlineAt: AT, maxAttempts: 2 });
      assert.equal(short(stopAttempt(late, because, CONTEXT)), "cancelled CANCELLED");
    }
  });

  it("has at most one end, and nothing changes after it", () => {
    const happening = fc.constantFrom(...ALL_HAPPENINGS, "claimed" as const);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(happening, fc.integer({ min: 0, max: 3_000 })), { maxLength: 40 }),
        fc.integer({ min: 1, max: 4 }),
        fc.option(fc.integer({ min: 0, max: 20_000 })),
        (happenings, maxAttempts, deadlineMs) => {
          const deadlineAt = deadlineMs === null ? null : after(deadlineMs);
          let life: Life = task({ status: "pending", attempt: 0, maxAttempts, deadlineAt });
          let [at, runAt] = [AT, AT];
          const tape: string[] = [];
          for (const [name, ms] of happenings) {
            const before = life;
            at = after(ms, at);
            if (name === "claimed") {
              if (life.status !== "pending" || runAt > at || (deadlineAt !== null && deadlineAt <= at)) continue;
              life = { ...life, status: "running", attempt: life.attempt + 1 };
              tape.push("started");
              continue;
            }
            if (OWNED.includes(name) && life.status !== "running") continue;
            const transition = HAPPENINGS[name](life, { at, random: 0.5 });
            if (transition.type === "unchanged") continue;
            assert.ok(!isTerminal(before.status), "a terminal task has changed");
            tape.push(transition.event.type);
            if (transition.type === "requeue") runAt = transition.nextAttemptAt;
            life = next(life, transition, at);
          }
          const finals = tape.filter((type) => type === "final").length;
          assert.equal(finals, isTerminal(life.status) ? 1 : 0);
          if (finals === 1) assert.equal(tape.at(-1), "final");
          assert.ok(life.attempt - life.handovers <= maxAttempts);
          assert.equal(tape.filter((type) => type === "started").length, life.attempt);
        },
      ),
      { numRuns: 2_000 },
    );
  });
});

describe("a reason to stop", () => {
  it("ends or requeues a running task, and never leaves it unchanged", () => {
    for (const because of STOP_REASONS) {
      for (const life of [task(), asked(), task({ maxAttempts: 2 }), task({ maxAttempts: 2, deadlineAt: AT })]) {
        assert.match(stopAttempt(life, because, CONTEXT).type, /^(end|requeue)$/);
      }
    }
  });
});

function bodyIn(transition: Transition): unknown {
  assert.ok(transition.type !== "unchanged");
  return JSON.parse(transition.event.body);
}
