import assert from "node:assert/strict";
import { bodyOf } from "../../src/domain/event.ts";
import type { NewEvent, TaskFailure } from "../../src/domain/event.ts";
import { endAttempt, expire, requestCancel, stopAttempt } from "../../src/domain/lifecycle.ts";
import type { AttemptOutcome, DecisionContext, StopReason, Transition } from "../../src/domain/lifecycle.ts";
import { DEFAULT_RETRY_POLICY } from "../../src/domain/retry.ts";

/** The part of a task that the lifecycle depends on. */
export type Life = Parameters<typeof requestCancel>[0];

export type Change = Exclude<Transition, { type: "unchanged" }>;

export const AT = new Date("2031-02-03T04:05:06.789Z");
export const CONTEXT: DecisionContext = { at: AT, random: 0 };
export const FAILURE: TaskFailure = { reason: "NOT_YET", message: "again" };

/** A running task in its only attempt, unless changed. */
export function task(life: Partial<Life> = {}): Life {
  return {
    status: "running",
    attempt: 1,
    maxAttempts: 1,
    handovers: 0,
    crashes: 0,
    retryPolicy: DEFAULT_RETRY_POLICY,
    deadlineAt: null,
    cancelRequestedAt: null,
    cancelReason: null,
    ...life,
  };
}

/** A running task that was asked to cancel. */
export function asked(life: Partial<Life> = {}): Life {
  return task({ cancelRequestedAt: AT, cancelReason: "enough", ...life });
}

export function after(ms: number, at = AT): Date {
  return new Date(at.getTime() + ms);
}

function threw(because: StopReason | null, { isFinal = false } = {}): AttemptOutcome {
  return { type: "threw", failure: FAILURE, because, isFinal };
}

type Decide = (task: Life, context?: DecisionContext) => Transition;

const ends =
  (outcome: AttemptOutcome): Decide =>
  (life, context = CONTEXT) =>
    endAttempt(life, outcome, context);
const stops =
  (because: StopReason): Decide =>
  (life, context = CONTEXT) =>
    stopAttempt(life, because, context);

/** Everything that can happen to a task, by name. */
export const HAPPENINGS = {
  cancel: (life) => requestCancel(life, { reason: "enough", by: null }),
  returned: ends({ type: "returned", result: { a: 1 } }),
  threw: ends(threw(null)),
  "threw, final": ends(threw(null, { isFinal: true })),
  "threw, cancelled": ends(threw("cancel")),
  "threw, overdue": ends(threw("deadline")),
  "threw, handed over": ends(threw("handover")),
  "cancel overdue": stops("cancel"),
  deadline: stops("deadline"),
  shutdown: stops("shutdown"),
  handover: stops("handover"),
  lost: stops("lost"),
  expired: (life, context = CONTEXT) => expire(life, context),
} satisfies Record<string, Decide>;

export type Happening = keyof typeof HAPPENINGS;

export const ALL_HAPPENINGS = Object.keys(HAPPENINGS) as Happening[];

/** Events that only the owner of a running task can cause: the engine decides them only with its fence. */
export const OWNED: readonly Happening[] = [
  "returned",
  "threw",
  "threw, final",
  "threw, cancelled",
  "threw, overdue",
  "threw, handed over",
];

/** A transition in short: the new state of the task, and the reason. */
export function short(transition: Transition): string {
  if (transition.type === "requeue" && transition.isHandover) return "handover";
  if (transition.type !== "end") return transition.type;
  const event = transition.event as NewEvent & { type: "final" };
  const { status, error } = bodyOf(event);
  assert.deepEqual([event.type, status], ["final", transition.status]);
  return error === undefined ? status : `${status} ${error.reason}`;
}

/** The task as the store would leave it. */
export function next(life: Life, transition: Change, at = AT): Life {
  switch (transition.type) {
    case "ask":
      return { ...life, cancelRequestedAt: at, cancelReason: transition.reason };
    case "requeue":
      return { ...life, status: "pending", handovers: life.handovers + (transition.isHandover ? 1 : 0) };
    case "end":
      return { ...life, status: transition.status };
  }
}
