// acknowledged-start-exists, one-task-per-request-id

import type { Refusal, StartSent } from "../history.ts";
import { acknowledged, isAnswer, mayBeRemoved, settledTape } from "./facts.ts";
import type { Call, Facts, TaskFacts } from "./facts.ts";
import type { Violation } from "./promises.ts";

export function* checkStarts(facts: Facts): Generator<Violation> {
  for (const task of facts.tasks.values()) {
    yield* checkExists(task);
    yield* checkOneRequest(task);
  }
  yield* checkRequestIds(facts);
}

/** An answer that says that a task is not there. */
interface Absence {
  reason: string;
  sentIndex: number;
  index: number;
  at: number;
  what: string;
}

function* checkExists(task: TaskFacts): Generator<Violation> {
  const start = task.starts[0];
  const shown = task.sightings[0];
  const knownFrom = Math.min(start?.answered.index ?? Infinity, shown?.index ?? Infinity);
  for (const { reason, sentIndex, index, at, what } of absences(task)) {
    if (sentIndex < knownFrom) continue;
    // A removed task is answered with TASK_EXPIRED for days, and never with TASK_NOT_FOUND during a run.
    if (reason === "TASK_EXPIRED" && mayBeRemoved(task, { index, at })) continue;
    const isStart = start !== undefined && start.answered.index < sentIndex;
    yield {
      promise: isStart ? "acknowledged-start-exists" : "acknowledged-event-durable",
      taskId: task.taskId,
      subject: "absent",
      message: `${what} was answered with ${reason} after ${isStart ? "the start of the task was acknowledged" : "events of the task were shown"}, and no removal explains it`,
    };
    return;
  }
}

function* absences(task: TaskFacts): Generator<Absence> {
  const calls: [string, readonly Call<{ namespace: string }, object>[]][] = [
    ["GetTask", task.reads],
    ["GetEvents", task.pages],
    ["GetResult", task.results],
    ["CancelTask", task.cancels],
    ["DeleteTask", task.deletes],
  ];
  for (const [what, list] of calls) {
    for (const { sent, answered } of list) {
      const refusal = answered?.line as (Refusal & { at: number }) | undefined;
      if (answered === null || refusal === undefined || !isAbsence(refusal)) continue;
      if (sent.line.namespace !== task.namespace) continue;
      yield { reason: refusal.reason!, sentIndex: sent.index, index: answered.index, at: refusal.at, what };
    }
  }
  for (const { opened, ended } of task.streams) {
    if (ended?.line.reason !== "failed" || !isAbsence(ended.line.error)) continue;
    const { reason } = ended.line.error;
    yield { reason: reason!, sentIndex: opened.index, index: ended.index, at: ended.line.at, what: "StreamEvents" };
  }
  if (task.settled !== null && !isAnswer(task.settled.line) && isAbsence(task.settled.line)) {
    const { index, line } = task.settled;
    yield { reason: line.reason!, sentIndex: index, index, at: line.at, what: "the read at the end of the run" };
  }
}

function isAbsence({ isLocal, reason }: Refusal): boolean {
  return isLocal === false && (reason === "TASK_NOT_FOUND" || reason === "TASK_EXPIRED");
}

/** Checks the starts that were answered with one task. */
function* checkOneRequest(task: TaskFacts): Generator<Violation> {
  const [first, ...others] = task.starts;
  if (first === undefined) return;
  const report = (message: string): Violation => ({
    promise: "one-task-per-request-id",
    taskId: task.taskId,
    subject: "starts",
    message,
  });
  for (const other of others) {
    const { requestId } = other.sent.line;
    if (requestId === null || requestId !== first.sent.line.requestId) {
      yield report("starts with different request ids were answered with one task");
      return;
    }
    if (contentOf(other.sent.line) !== contentOf(first.sent.line)) {
      yield report(
        `starts of request_id ${JSON.stringify(requestId)} with different content were answered with one task`,
      );
      return;
    }
    if (!other.answered.line.alreadyStarted && !first.answered.line.alreadyStarted) {
      yield report(`two starts of request_id ${JSON.stringify(requestId)} were both answered as the first`);
      return;
    }
  }
}

function* checkRequestIds(facts: Facts): Generator<Violation> {
  const starts = facts.starts.filter(({ sent }) => sent.line.requestId !== null);
  for (const calls of Map.groupBy(starts, ({ sent: { line } }) => `${line.namespace} ${line.requestId}`).values()) {
    const requestId = JSON.stringify(calls[0]!.sent.line.requestId);
    const answered = calls.map(acknowledged).filter((start) => start !== null);
    const tasks = [...new Set(answered.map(({ answered: { line } }) => line.taskId))].map((id) => facts.tasks.get(id)!);
    for (const [index, one] of tasks.entries()) {
      const other = tasks.slice(index + 1).find((task) => !mayReplace(one, task) && !mayReplace(task, one));
      if (other === undefined) continue;
      yield twoTasks(one.taskId, other.taskId, `request_id ${requestId} was answered with two tasks`);
      break;
    }
    for (const { sent, answered: refused } of calls) {
      if (refused === null || isAnswer(refused.line) || refused.line.reason !== "REQUEST_ID_REUSED") continue;
      const isExplained = calls.some(
        (other) => other.sent.index < refused.index && contentOf(other.sent.line) !== contentOf(sent.line),
      );
      if (isExplained) continue;
      const message = `a start of request_id ${requestId} was refused with REQUEST_ID_REUSED, and all starts have the same content`;
      yield { promise: "one-task-per-request-id", taskId: null, subject: `refused ${requestId}`, message };
      break;
    }
  }
  yield* checkSettledRequestIds(facts);
}

/** At the end of the run, tasks exist side by side, so no removal explains two of one request_id. */
function* checkSettledRequestIds(facts: Facts): Generator<Violation> {
  const byRequestId = new Map<string, string>();
  for (const task of facts.tasks.values()) {
    const requestId = settledTape(task)?.requestId ?? null;
    if (requestId === null) continue;
    const key = `${task.namespace} ${requestId}`;
    const other = byRequestId.get(key);
    const areAnswered = other !== undefined && task.starts.length > 0 && facts.tasks.get(other)!.starts.length > 0;
    if (other !== undefined && !areAnswered) {
      yield twoTasks(
        other,
        task.taskId,
        `two tasks with request_id ${JSON.stringify(requestId)} exist at the end of the run`,
      );
    }
    byRequestId.set(key, task.taskId);
  }
}

function twoTasks(taskId: string, other: string, message: string): Violation {
  return { promise: "one-task-per-request-id", taskId, subject: `and ${other}`, message, otherTaskIds: [other] };
}

/** Whether the removal of one task may have freed its request_id for the other. */
function mayReplace(removed: TaskFacts, other: TaskFacts): boolean {
  return other.starts.every(({ answered: { index, line } }) => mayBeRemoved(removed, { index, at: line.at }));
}

/** What must be the same in each start of a request_id. */
function contentOf({ kind, params, labels, runAt, deadlineAt, retentionMs, maxAttempts }: StartSent): string {
  const sorted = (value: unknown): unknown =>
    value !== null && typeof value === "object" && !Array.isArray(value)
      ? Object.entries(value)
          .toSorted(([a], [b]) => (a < b ? -1 : 1))
          .map(([key, each]) => [key, sorted(each)])
      : Array.isArray(value)
        ? value.map(sorted)
        : value;
  return JSON.stringify([kind, sorted(params), sorted(labels), runAt, deadlineAt, retentionMs, maxAttempts]);
}
