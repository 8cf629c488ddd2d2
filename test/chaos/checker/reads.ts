// reads-go-forward, read-your-writes, status-with-final and one-snapshot of answers. Each answer is reported once.

import type { Status } from "../history.ts";
import { acknowledged, finalOf, isAnswer, lastSeqOf, settledTape } from "./facts.ts";
import type { Call, Facts, TaskFacts } from "./facts.ts";
import type { PromiseName, Violation } from "./promises.ts";
import { checkSnapshot } from "./snapshots.ts";

/** An answer that shows the state of a task. */
export interface Answer {
  sentIndex: number;
  index: number;
  /** Names the call in messages. */
  what: string;
  status: Status;
  /** null: the answer does not say. */
  lastSeq: number | null;
  attempt: number | null;
  isCancelRequested: boolean | null;
}

/** A state that a reader saw, or that the answer to a write named. */
interface Seen {
  index: number;
  lastSeq: number;
  isTerminal: boolean;
  what: string;
}

export function isTerminal(status: Status): boolean {
  return status !== "pending" && status !== "running";
}

export function* checkReads(facts: Facts): Generator<Violation> {
  for (const task of facts.tasks.values()) {
    const history = new StateHistory(task);
    // The answer to a repeated start is a snapshot, and may be older than its call.
    const starts = task.starts.map((start) => toAnswer(start, "StartTask", start.answered.line));
    const answers = answersOf(task);
    for (const answer of [...starts, ...answers]) {
      const older = answers.includes(answer) ? history.findOlder(answer) : null;
      const fault = older ?? findWithoutFinal(task, answer) ?? checkSnapshot(task, answer);
      if (fault !== null) yield { taskId: task.taskId, subject: answer.what, ...fault };
    }
    yield* checkRefusals(task, history);
    yield* checkSettledStatus(task);
  }
}

export interface Fault {
  promise: PromiseName;
  message: string;
}

/** Returns the answers that must be at least as new as their call, by the order of the calls of each type. */
export function answersOf(task: TaskFacts): Answer[] {
  return [
    ...answered(task.reads).map((read) => toAnswer(read, "GetTask", read.answered.line)),
    ...answered(task.pages).map((page) => toAnswer(page, "GetEvents", { ...page.answered.line, attempt: null })),
    ...answered(task.results).map((result) => toAnswer(result, "GetResult", { status: result.answered.line.status })),
  ];
}

function toAnswer(
  call: { sent: { index: number; line: { client: string; call: number } }; answered: { index: number } },
  name: string,
  state: { status: Status; lastSeq?: number; attempt?: number | null; isCancelRequested?: boolean },
): Answer {
  const { client, call: number } = call.sent.line;
  return {
    sentIndex: call.sent.index,
    index: call.answered.index,
    what: `${name} ${number} of ${client}`,
    status: state.status,
    lastSeq: state.lastSeq ?? null,
    attempt: state.attempt ?? null,
    isCancelRequested: state.isCancelRequested ?? null,
  };
}

function answered<Sent, Answered extends object>(calls: readonly Call<Sent, Answered>[]) {
  return calls.map((call) => acknowledged(call)).filter((call) => call !== null);
}

/** The newest states that had been seen at each point of the history. */
class StateHistory {
  /** By index, each with the newest state so far. */
  readonly #seen: Seen[];
  readonly #writes: (Seen & { isRequested: boolean })[];

  constructor(task: TaskFacts) {
    const seen = answersOf(task).map(({ index, lastSeq, status, what }): Seen => {
      return { index, lastSeq: lastSeq ?? 0, isTerminal: isTerminal(status), what };
    });
    for (const { event, index, by } of task.sightings) {
      seen.push({ index, lastSeq: lastSeqOf(event), isTerminal: event.type === "final", what: by });
    }
    this.#seen = seen.toSorted((a, b) => a.index - b.index);
    this.#writes = [
      ...task.starts.map(({ sent, answered: { index, line } }) => ({
        index,
        lastSeq: line.lastSeq,
        isTerminal: isTerminal(line.status),
        isRequested: false,
        what: `StartTask ${sent.line.call} of ${sent.line.client}`,
      })),
      ...answered(task.cancels).map(({ sent, answered: { index, line } }) => ({
        index,
        lastSeq: line.lastSeq,
        // What ALREADY_TERMINAL says is no write: cancel-outcome-true compares it with later reads.
        isTerminal: line.outcome === "cancelled",
        isRequested: line.outcome === "requested",
        what: `CancelTask ${sent.line.call} of ${sent.line.client}`,
      })),
    ];
  }

  /** Returns a state before a call that is terminal. */
  terminalBefore(index: number): Seen | undefined {
    return [...this.#writes, ...this.#seen].find((seen) => seen.isTerminal && seen.index < index);
  }

  /** Returns the first state before a call that has a seq. */
  seenBefore(index: number, seq: number): Seen | undefined {
    return this.#seen.find((seen) => seen.lastSeq >= seq && seen.index < index);
  }

  findOlder(answer: Answer): Fault | null {
    const isOlder = (seen: Seen) =>
      seen.index < answer.sentIndex &&
      ((seen.isTerminal && !isTerminal(answer.status)) || (answer.lastSeq !== null && answer.lastSeq < seen.lastSeq));
    const shown = `${answer.what} showed ${answer.status}${answer.lastSeq === null ? "" : `, last_seq ${answer.lastSeq}`}`;
    const state = (seen: Seen) => `${seen.isTerminal ? "the end of the task" : "the task"}, last_seq ${seen.lastSeq}`;
    const write = this.#writes.find(isOlder);
    if (write !== undefined) {
      return { promise: "read-your-writes", message: `${shown} after ${write.what} was answered with ${state(write)}` };
    }
    const request = this.#writes.find(({ isRequested, index }) => isRequested && index < answer.sentIndex);
    if (request !== undefined && answer.isCancelRequested === false && !isTerminal(answer.status)) {
      return { promise: "read-your-writes", message: `${shown} and no cancel after ${request.what} was answered` };
    }
    const seen = this.#seen.find(isOlder);
    if (seen === undefined) return null;
    return { promise: "reads-go-forward", message: `${shown} after ${seen.what} had shown ${state(seen)}` };
  }
}

/** Compares the status of an answer with the final that it includes, or leaves out. */
function findWithoutFinal(task: TaskFacts, { what, status, lastSeq }: Answer): Fault | null {
  const final = finalOf(task)?.event;
  if (final === undefined || lastSeq === null) return null;
  const report = (message: string): Fault => ({ promise: "status-with-final", message: `${what} showed ${message}` });
  if (!isTerminal(status)) {
    return lastSeq >= final.seq ? report(`${status} with last_seq ${lastSeq}, where the final is`) : null;
  }
  if (lastSeq < final.seq) return report(`${status} with last_seq ${lastSeq}, before the final at seq ${final.seq}`);
  if (final.status !== undefined && final.status !== status)
    return report(`${status}, and the final says ${final.status}`);
  return null;
}

function* checkRefusals(task: TaskFacts, history: StateHistory): Generator<Violation> {
  for (const { sent, answered: refused } of [...task.results, ...task.deletes]) {
    if (refused === null || isAnswer(refused.line) || refused.line.isLocal) continue;
    if (refused.line.reason !== "TASK_NOT_TERMINAL") continue;
    const end = history.terminalBefore(sent.index);
    if (end === undefined) continue;
    const what = `${sent.line.type === "result_sent" ? "GetResult" : "DeleteTask"} ${sent.line.call} of ${sent.line.client}`;
    const message = `${what} was refused with TASK_NOT_TERMINAL after ${end.what} had shown the end`;
    yield { promise: "status-with-final", taskId: task.taskId, subject: what, message };
  }
  for (const { opened, ended } of task.streams) {
    if (ended?.line.reason !== "failed" || ended.line.error.reason !== "SEQ_OUT_OF_RANGE") continue;
    const { follower, fromSeq } = opened.line;
    const seen = history.seenBefore(opened.index, fromSeq - 1);
    if (seen === undefined) continue;
    const message = `follower ${follower} was refused at seq ${fromSeq} after ${seen.what} had shown last_seq ${seen.lastSeq}`;
    yield { promise: "reads-go-forward", taskId: task.taskId, subject: `${follower} from ${fromSeq}`, message };
  }
}

function* checkSettledStatus(task: TaskFacts): Generator<Violation> {
  const settled = settledTape(task);
  if (settled === null) return;
  const final = settled.events.find(({ type }) => type === "final");
  // The status was read before the tape, which may have ended in between.
  if (!isTerminal(settled.status) && final !== undefined && final.seq > settled.lastSeq) return;
  if ((final !== undefined) === isTerminal(settled.status) && (final?.status ?? settled.status) === settled.status)
    return;
  const message = `at the end of the run the status is ${settled.status}, and the tape has ${final === undefined ? "no final" : `a final that says ${final.status}`}`;
  yield { promise: "status-with-final", taskId: task.taskId, subject: "settled", message };
}
