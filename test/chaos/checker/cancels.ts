// cancel-outcome-true, cancel-ends-task

import type { CancelAnswered, CancelSent } from "../history.ts";
import { CANCELLED_WITHIN_MS, dueAfterFaults } from "./bounds.ts";
import { acknowledged, finalOf, settledTape } from "./facts.ts";
import type { Acknowledged, Facts, TaskFacts } from "./facts.ts";
import type { Violation } from "./promises.ts";
import { answersOf, isTerminal } from "./reads.ts";

type Cancel = Acknowledged<CancelSent, CancelAnswered>;

export function* checkCancels(facts: Facts): Generator<Violation> {
  for (const task of facts.tasks.values()) {
    const cancels = task.cancels.map((call) => acknowledged(call)).filter((cancel) => cancel !== null);
    for (const cancel of cancels) {
      const fault = findUntrue(task, cancel);
      if (fault === null) continue;
      const { client, call } = cancel.sent.line;
      const message = `CancelTask ${call} of ${client} was answered with ${cancel.answered.line.outcome}, and ${fault}`;
      yield { promise: "cancel-outcome-true", taskId: task.taskId, subject: `${client} ${call}`, message };
    }
    if (cancels.filter(({ answered: { line } }) => line.outcome === "cancelled").length > 1) {
      const message = "two cancels were answered with cancelled, and only one can have ended the task";
      yield { promise: "cancel-outcome-true", taskId: task.taskId, subject: "twice", message };
    }
    yield* checkNoRetry(task);
    const late = findLate(facts, task, cancels);
    if (late !== null) yield { promise: "cancel-ends-task", taskId: task.taskId, subject: "late", message: late };
  }
}

function findUntrue(task: TaskFacts, { sent, answered: { line, index } }: Cancel): string | null {
  const final = finalOf(task);
  const settled = settledTape(task);
  const endedBefore = final !== null && final.index < sent.index;
  switch (line.outcome) {
    case "cancelled":
      if (line.status !== "cancelled") return `its status is ${line.status}`;
      if (endedBefore) return `${final.by} had received the final before the call`;
      if (final?.event.status !== undefined && final.event.status !== "cancelled") {
        return `the final says ${final.event.status}`;
      }
      return null;
    case "requested": {
      if (line.status !== "running") return `its status is ${line.status}`;
      if (endedBefore) return `${final.by} had received the final before the call`;
      const isRecorded = settled?.events.some(({ type }) => type === "cancel_requested") ?? true;
      return isRecorded ? null : "the tape has no cancel_requested";
    }
    case "already_terminal": {
      if (!isTerminal(line.status)) return `its status is ${line.status}`;
      if (final?.event.status !== undefined && final.event.status !== line.status) {
        return `its status is ${line.status}, while the final says ${final.event.status}`;
      }
      const later = answersOf(task).find((answer) => answer.sentIndex > index && !isTerminal(answer.status));
      return later === undefined ? null : `${later.what} showed ${later.status} after that`;
    }
  }
}

/** A task with a requested cancel gets no further attempt. */
function* checkNoRetry(task: TaskFacts): Generator<Violation> {
  const events = [...task.tape.values()].map(({ event }) => event).toSorted((a, b) => a.seq - b.seq);
  const request = events.find(({ type }) => type === "cancel_requested");
  const retry = events.find(({ seq, type }) => request !== undefined && seq > request.seq && type === "retrying");
  if (retry === undefined) return;
  const message = `retrying at seq ${retry.seq} follows cancel_requested at seq ${request!.seq}`;
  yield { promise: "cancel-ends-task", taskId: task.taskId, subject: `seq ${retry.seq}`, message };
}

function findLate(facts: Facts, task: TaskFacts, cancels: readonly Cancel[]): string | null {
  const first = cancels.find(({ answered: { line } }) => line.outcome === "requested");
  if (first === undefined) return null;
  const { at } = first.answered.line;
  const dueAt = dueAfterFaults(facts.faults, at, CANCELLED_WITHIN_MS);
  const late = answersOf(task).find(
    ({ sentIndex, status }) => !isTerminal(status) && facts.lines[sentIndex]!.at > dueAt,
  );
  if (late === undefined) return null;
  const sentAt = facts.lines[late.sentIndex]!.at;
  return `${late.what} showed ${late.status} ${Math.round(sentAt - at)} ms after the cancel was answered`;
}
