// attempts-ascend, one-attempt-at-a-time

import type { AttemptLine, SeenEvent, Status } from "../history.ts";
import { CLOCK_SLACK_MS } from "./bounds.ts";
import { acknowledged, lastSeqOf, settledTape } from "./facts.ts";
import type { Facts, TaskFacts } from "./facts.ts";
import type { Violation } from "./promises.ts";

export function* checkAttempts(facts: Facts): Generator<Violation> {
  const lines = facts.lines.filter((line) => line.type === "attempt");
  const byTask = Map.groupBy(lines, ({ taskId }) => taskId);
  for (const task of facts.tasks.values()) yield* checkTape(task);
  for (const [taskId, run] of byTask) {
    yield* checkRuns(taskId, run);
    const task = facts.tasks.get(taskId);
    if (task !== undefined) yield* checkOwner(task, run);
  }
  yield* checkExclusive(facts, byTask);
}

/**
 * Checks the attempts on a tape. Each attempt begins with `started` and goes on up to `retrying` or `final`. Only a
 * tape without attempts, or a task that waits for its next attempt, has a `final` outside of one.
 */
function* checkTape(task: TaskFacts): Generator<Violation> {
  const report = (
    promise: "attempts-ascend" | "one-attempt-at-a-time",
    { seq }: SeenEvent,
    message: string,
  ): Violation => ({
    promise,
    taskId: task.taskId,
    subject: `seq ${seq}`,
    message,
  });
  let attempt = 0;
  let isRunning = false;
  for (let seq = 1; ; seq++) {
    // Past a seq that no reader saw, the attempt is unknown.
    const event = task.tape.get(seq)?.event;
    if (event === undefined || event.type === "final") return;
    if (event.type === "started") {
      if (isRunning) {
        yield report(
          "one-attempt-at-a-time",
          event,
          `attempt ${event.attempt} begins at seq ${seq} in attempt ${attempt}`,
        );
        return;
      }
      if (event.attempt !== attempt + 1) {
        yield report(
          "attempts-ascend",
          event,
          `attempt ${event.attempt} begins at seq ${seq} after attempt ${attempt}`,
        );
        return;
      }
      attempt = event.attempt;
      isRunning = true;
    } else if (!isRunning) {
      yield report("attempts-ascend", event, `${event.type} at seq ${seq} belongs to no attempt`);
      return;
    } else if (event.attempt !== undefined && event.attempt !== attempt) {
      const message = `${event.type} at seq ${seq} is of attempt ${event.attempt}, and attempt ${attempt} owns the task`;
      yield report("one-attempt-at-a-time", event, message);
      return;
    } else if (event.type === "retrying") {
      isRunning = false;
    }
  }
}

/** An attempt is one run of the code. */
function* checkRuns(taskId: string, run: readonly AttemptLine[]): Generator<Violation> {
  const began = new Map<number, AttemptLine>();
  for (const line of run) {
    if (line.what !== "began") continue;
    const first = began.get(line.attempt);
    if (first !== undefined) {
      const message = `attempt ${line.attempt} ran in ${first.worker} (pid ${first.pid}) and in ${line.worker} (pid ${line.pid})`;
      yield { promise: "one-attempt-at-a-time", taskId, subject: `attempt ${line.attempt}`, message };
      return;
    }
    began.set(line.attempt, line);
  }
}

/** Only the last attempt may end its task, so a task whose last attempt threw has not succeeded. */
function* checkOwner(task: TaskFacts, run: readonly AttemptLine[]): Generator<Violation> {
  const last = lastAttempt(task);
  const end = run.find(({ attempt, what }) => attempt === last?.attempt && what === "ended");
  if (last?.status !== "succeeded" || end?.how !== "threw") return;
  const message = `the task succeeded, and its last attempt ${last.attempt} threw: another attempt has ended the task`;
  yield { promise: "one-attempt-at-a-time", taskId: task.taskId, subject: "owner", message };
}

/** Returns the number of the last attempt and the status of the task at the end of the run; null: unknown. */
function lastAttempt(task: TaskFacts): { attempt: number; status: Status } | null {
  const settled = settledTape(task);
  if (settled === null) return null;
  const begun = settled.events.filter(({ type }) => type === "started");
  const isNumbered = begun.every(({ attempt }, index) => attempt === index + 1);
  return isNumbered ? { attempt: begun.length, status: settled.status } : null;
}

/** A time during which an attempt certainly held its exclusive key. */
interface Hold {
  taskId: string;
  attempt: number;
  from: number;
  to: number;
}

function* checkExclusive(facts: Facts, byTask: ReadonlyMap<string, AttemptLine[]>): Generator<Violation> {
  const keyOf = (task: TaskFacts) => exclusiveKeyOf(task, byTask.get(task.taskId) ?? []);
  const tasks = [...facts.tasks.values()].filter((task) => keyOf(task) !== null);
  for (const [key, group] of Map.groupBy(tasks, keyOf)) {
    const holds = group
      .flatMap((task) => [...holdsOf(facts, task), ...runsOf(task, byTask.get(task.taskId) ?? [])])
      .toSorted((a, b) => a.from - b.from);
    for (const [index, hold] of holds.entries()) {
      const before = holds
        .slice(0, index)
        .find(({ taskId, to }) => taskId !== hold.taskId && hold.from < to - CLOCK_SLACK_MS);
      if (before === undefined) continue;
      const message = `attempt ${hold.attempt} ran while attempt ${before.attempt} of task ${before.taskId} held the key ${key}`;
      yield {
        promise: "one-attempt-at-a-time",
        taskId: hold.taskId,
        subject: `key ${key}`,
        message,
        otherTaskIds: [before.taskId],
      };
      break;
    }
  }
}

function exclusiveKeyOf({ starts, namespace, kind }: TaskFacts, [run]: readonly AttemptLine[]): string | null {
  const key = starts[0]?.sent.line.exclusiveKey ?? run?.exclusiveKey ?? null;
  return key === null || kind === null ? null : `${namespace} ${kind} ${key}`;
}

/**
 * Returns for each attempt the time from when a reader saw its `started` until a read was sent that did not show its
 * end yet. Reads are at least as new as their call, so the attempt held the key in between.
 */
function holdsOf({ lines }: Facts, task: TaskFacts): Hold[] {
  const events = [...task.tape.values()].map(({ event }) => event).toSorted((a, b) => a.seq - b.seq);
  const reads = [...task.reads, ...task.pages]
    .map((call) => acknowledged<object, object>(call))
    .filter((call) => call !== null);
  return events
    .filter(({ type }) => type === "started")
    .flatMap((started) => {
      const end = events.find(({ seq, type }) => seq > started.seq && (type === "retrying" || type === "final"));
      const from = task.sightings.find(({ event }) => lastSeqOf(event) >= started.seq)!.at;
      const sentAt = reads
        .filter(({ answered: { line } }) => {
          const { lastSeq } = line as { lastSeq: number };
          return lastSeq >= started.seq && end !== undefined && lastSeq < end.seq;
        })
        .map(({ sent: { index } }) => lines[index]!.at);
      const to = Math.max(from, ...sentAt);
      return to > from ? [{ taskId: task.taskId, attempt: started.attempt ?? 0, from, to }] : [];
    });
}

/**
 * Returns when code ran that certainly owned its task: the last attempt of a task that succeeded. Code of any other
 * attempt may have gone on after its process was thought dead and the task was taken from it.
 */
function runsOf(task: TaskFacts, run: readonly AttemptLine[]): Hold[] {
  const last = lastAttempt(task);
  if (last?.status !== "succeeded") return [];
  const { attempt } = last;
  const lines = run.filter((line) => line.attempt === attempt);
  const began = lines.find(({ what }) => what === "began");
  const ended = lines.find(({ what, how }) => what === "ended" && how === "returned");
  if (began === undefined || ended === undefined) return [];
  return [{ taskId: task.taskId, attempt, from: began.at, to: ended.at }];
}
