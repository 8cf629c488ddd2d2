// no-event-lost, no-event-doubled and events-in-order of streams of one tape

import { lastSeqOf, mayBeRemoved } from "./facts.ts";
import type { Facts, Stream, TaskFacts } from "./facts.ts";
import { DELIVERED_WITHIN_MS, quietSince } from "./bounds.ts";
import type { PromiseName, Violation } from "./promises.ts";
import { rangeText, readingFaults } from "./reading.ts";
import { isShown } from "./tapes.ts";

export function* checkFollowers(facts: Facts): Generator<Violation> {
  for (const task of facts.tasks.values()) {
    for (const stream of task.streams) yield* checkStream(facts, task, stream);
  }
}

function* checkStream(facts: Facts, task: TaskFacts, stream: Stream): Generator<Violation> {
  const { follower, fromSeq } = stream.opened.line;
  const { missing, doubled, disordered, nextSeq } = readingFaults(
    stream.events.map(({ event }) => event),
    fromSeq,
  );
  const report = (promise: PromiseName, what: string, message: string): Violation => ({
    promise,
    taskId: task.taskId,
    subject: `${follower} from ${fromSeq} ${what}`,
    message: `follower ${follower}, which began at seq ${fromSeq}, ${message}`,
  });
  for (const range of missing) {
    // A seq that no reader ever saw is missing on the tape itself.
    const promise = isShown(task.tape, range) ? "no-event-lost" : "seqs-gapless";
    yield report(promise, rangeText(range), `received a later event without ${rangeText(range)}`);
  }
  for (const seq of doubled) yield report("no-event-doubled", `seq ${seq}`, `received seq ${seq} again`);
  for (const seq of disordered) yield report("events-in-order", `seq ${seq}`, `received seq ${seq} after a later seq`);
  if (stream.ended?.line.reason === "failed" && stream.ended.line.error.code === "DATA_LOSS") {
    // The client compares what it receives, and gives up a stream that skips or repeats an event.
    yield report("events-in-order", "given up", `has given up its stream: ${stream.ended.line.error.message}`);
  }
  if (stream.events.at(-1)?.event.type === "final") return;
  const lastKnown = Math.max(0, ...task.tape.keys());
  if (nextSeq > lastKnown) return;
  const rest = { first: nextSeq, last: lastKnown };
  if (stream.ended?.line.reason === "final") {
    // A stream ends OK after the final, or at once past the end of a finished tape.
    yield report("no-event-lost", `end ${nextSeq}`, `was ended as complete without ${rangeText(rest)}`);
  } else if (isOverdue(facts, task, stream, nextSeq)) {
    yield report("no-event-lost", `tail ${nextSeq}`, `waited and did not receive ${rangeText(rest)}`);
  }
}

/** Returns whether a stream had no fault and enough time to deliver an event that another reader had seen. */
function isOverdue(facts: Facts, task: TaskFacts, { opened, events, ended }: Stream, seq: number): boolean {
  if (ended !== null && ended.line.reason !== "left") return false;
  const end =
    ended === null ? { index: facts.lines.length, at: facts.endAt } : { index: ended.index, at: ended.line.at };
  if (mayBeRemoved(task, end)) return false;
  const seen = task.sightings.find(({ event }) => lastSeqOf(event) >= seq);
  if (seen === undefined || seen.index > end.index) return false;
  const knownAt = Math.max(seen.at, opened.line.at, events.at(-1)?.at ?? 0);
  return end.at - quietSince(facts.faults, knownAt, end.at) > DELIVERED_WITHIN_MS;
}
