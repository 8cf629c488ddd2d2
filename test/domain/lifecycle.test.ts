import assert from "node:assert/strict";
import fc from "fast-check";
import { bodyOf } from "../../src/domain/event.ts";
import type { NewEvent, TaskFailure } from "../../src/domain/event.ts";
import { endAttempt, requestCancel, retryDelayMs, stopAttempt } from "../../src/domain/lifecycle.ts";
import type { StopReason, Transition } from "../../src/domain/lifecycle.ts";
import { isTerminal, TASK_STATUSES } from "../../src/domain/task.ts";
import type { Task, TaskStatus } from "../../src/domain/task.ts";

type Life = Pick<Task, "status" | "attempt" | "maxAttempts" | "cancelRequestedAt" | "cancelReason">;

const TIME = new Date("2031-02-03T04:05:06.789Z");
const FAILURE: TaskFailure = { reason: "NOT_YET", message: "again" };
const STOP_REASONS: StopReason[] = ["cancel", "deadline", "shutdown", "lost"];

/** All that can happen to a task, by what it is called. */
const HAPPENINGS = {
  cancel: (task: Life) => requestCancel(task, "enough"),
  returned: (task: Life) => endAttempt(task, { type: "returned", result: { a: 1 } }),
  threw: (task: Life) => endAttempt(task, { type: "threw", failure: FAILURE, because: null }),
  "threw, cancelled": (task: Life) => endAttempt(task, { type: "threw", failure: FAILURE, because: "cancel" }),
  "threw, overdue": (task: Life) => endAttempt(task, { type: "threw", failure: FAILURE, because: "deadline" }),
  "cancel overdue": (task: Life) => stopAttempt(task, "cancel"),
  deadline: (task: Life) => stopAttempt(task, "deadline"),
  shutdown: (task: Life) => stopAttempt(task, "shutdown"),
  lost: (task: Life) => stopAttempt(task, "lost"),
};
type Happening = keyof typeof HAPPENINGS;

/** What only the owner of a running task can bring about: the engine asks for it under its fence alone. */
const OWNED: Happening[] = ["returned", "threw", "threw, cancelled", "threw, overdue"];

function task(life: Partial<Life> = {}): Life {
  return { status: "running", attempt: 1, maxAttempts: 1, cancelRequestedAt: null, cancelReason: null, ...life };
}

const asked = (life: Partial<Life> = {}) => task({ cancelRequestedAt: TIME, cancelReason: "enough", ...life });

function eventOf(transition: Transition): NewEvent | null {
  if (transition.type === "unchanged") return null;
  return transition.type === "requeue" ? transition.event(TIME) : transition.event;
}

/** A transition in short: what becomes of the task, and why. */
function short(transition: Transition): string {
  if (transition.type !== "end") return transition.type;
  const event = transition.event as NewEvent & { type: "final" };
  const { status, error } = bodyOf(event);
  assert.deepEqual([event.type, status], ["final", transition.status]);
  return error === undefined ? status : `${status} ${error.reason}`;
}

describe("the life of a task", () => {
  /** What each does to a pending task, to a running one, to one that was asked to cancel, and to one with attempts left. */
  const TABLE: Record<Happening, [pending: string | null, running: string, asked: string, retriable: string]> = {
    cancel: ["cancelled CANCELLED", "ask", "unchanged", "ask"],
    returned: [null, "succeeded", "succeeded", "succeeded"],
    threw: [null, "failed NOT_YET", "failed NOT_YET", "requeue"],
    "threw, cancelled": [null, "cancelled CANCELLED", "cancelled CANCELLED", "cancelled CANCELLED"],
    "threw, overdue": [null, "failed DEADLINE_EXCEEDED", "cancelled CANCELLED", "requeue"],
    "cancel overdue": ["unchanged", "cancelled CANCELLED", "cancelled CANCELLED", "cancelled CANCELLED"],
    deadline: ["unchanged", "failed DEADLINE_EXCEEDED", "cancelled CANCELLED", "requeue"],
    shutdown: ["unchanged", "failed SERVER_SHUTDOWN", "cancelled CANCELLED", "requeue"],
    lost: ["unchanged", "failed WORKER_LOST", "cancelled CANCELLED", "requeue"],
  };

  for (const happening of Object.keys(HAPPENINGS) as Happening[]) {
    it(`is changed as the table says by: ${happening}`, () => {
      const decide = HAPPENINGS[happening];
      const [pending, running, wanted, retriable] = TABLE[happening];
      if (pending !== null) assert.equal(short(decide(task({ status: "pending", attempt: 0 }))), pending);
      assert.equal(short(decide(task())), running);
      assert.equal(short(decide(asked())), wanted);
      assert.equal(short(decide(task({ maxAttempts: 2 }))), retriable);
      assert.equal(short(decide(task({ maxAttempts: 2, attempt: 2 }))), running);
      // Nothing that was asked to cancel is tried again.
      assert.notEqual(short(decide(asked({ maxAttempts: 2 }))), "requeue");
      if (OWNED.includes(happening)) return;
      for (const status of TASK_STATUSES.filter(isTerminal)) {
        for (const life of [task({ status }), asked({ status }), task({ status, maxAttempts: 9 })]) {
          assert.deepEqual(decide(life), { type: "unchanged" });
        }
      }
    });
  }

  it("says on the tape what happened", () => {
    const bodies = (transition: Transition) => JSON.parse(eventOf(transition)!.body) as unknown;
    assert.deepEqual(bodies(requestCancel(task(), "")), { reason: "" });
    assert.deepEqual(bodies(HAPPENINGS.returned(task())), { status: "succeeded", result: { a: 1 } });
    assert.deepEqual(bodies(HAPPENINGS.threw(task())), { status: "failed", error: FAILURE });
    assert.deepEqual(bodies(HAPPENINGS.threw(task({ maxAttempts: 2 }))), {
      error: FAILURE,
      next_attempt_at: TIME.toISOString(),
    });
    const message = (cancelReason: string | null) =>
      bodies(stopAttempt(asked({ cancelReason }), "lost")) as { error: { message: string } };
    assert.equal(message("enough").error.message, "enough");
    for (const none of ["", null]) assert.equal(message(none).error.message, "the task was cancelled");
  });

  it("has pauses between attempts: a second, doubled each time, five minutes at the most", () => {
    assert.deepEqual(
      [1, 2, 3, 4, 9, 10, 100, 2_000].map(retryDelayMs),
      [1, 2, 4, 8, 256, 300, 300, 300].map((s) => s * 1_000),
    );
  });

  it("has at most one end, behind which nothing changes, whatever happens", () =>
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...(Object.keys(HAPPENINGS) as Happening[]), "claimed" as const), { maxLength: 40 }),
        fc.integer({ min: 1, max: 4 }),
        (happenings, maxAttempts) => {
          let life: Life = task({ status: "pending", attempt: 0, maxAttempts });
          const tape: string[] = [];
          for (const happening of happenings) {
            const before = life;
            if (happening === "claimed") {
              if (life.status !== "pending") continue;
              life = { ...life, status: "running", attempt: life.attempt + 1 };
              tape.push("started");
              continue;
            }
            if (OWNED.includes(happening) && life.status !== "running") continue;
            const transition = HAPPENINGS[happening](life);
            if (transition.type === "unchanged") continue;
            assert.ok(!isTerminal(before.status), "a terminal task has changed");
            tape.push(eventOf(transition)!.type);
            life = next(life, transition);
          }
          const finals = tape.filter((type) => type === "final").length;
          assert.equal(finals, isTerminal(life.status) ? 1 : 0);
          if (finals === 1) assert.equal(tape.at(-1), "final");
          assert.ok(life.attempt <= maxAttempts);
          assert.equal(tape.filter((type) => type === "started").length, life.attempt);
        },
      ),
      { numRuns: 2_000 },
    ));
});

/** The task as the store would leave it. */
function next(life: Life, transition: Exclude<Transition, { type: "unchanged" }>): Life {
  switch (transition.type) {
    case "ask":
      return { ...life, cancelRequestedAt: TIME, cancelReason: transition.reason };
    case "requeue":
      return { ...life, status: "pending" satisfies TaskStatus };
    case "end":
      return { ...life, status: transition.status };
  }
}

describe("a reason to stop", () => {
  it("ends a running task, or sends it back: never nothing", () => {
    for (const because of STOP_REASONS) {
      for (const life of [task(), asked(), task({ maxAttempts: 2 })]) {
        assert.notEqual(stopAttempt(life, because).type, "unchanged");
      }
    }
  });
});
