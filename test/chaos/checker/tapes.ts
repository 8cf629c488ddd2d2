// seqs-gapless, events-in-order and no-event-doubled of pages, event-never-changes, one-final, final-last,
// acknowledged-event-durable

import type { SeenEvent } from "../history.ts";
import { acknowledged, finalOf, lastSeqOf, settledTape } from "./facts.ts";
import type { Facts, Settled, Sighting, TaskFacts } from "./facts.ts";
import type { PromiseName, Violation } from "./promises.ts";
import { rangeText, readingFaults } from "./reading.ts";

export function* checkTapes(facts: Facts): Generator<Violation> {
  for (const task of facts.tasks.values()) {
    yield* checkSameEvents(task);
    yield* checkFinal(task);
    yield* checkPages(task);
    const settled = settledTape(task);
    if (settled !== null) yield* checkSettled(task, settled);
  }
}

function* checkSameEvents(task: TaskFacts): Generator<Violation> {
  const reported = new Set<number>();
  for (const { event, by } of task.sightings) {
    if (event.type === "folded" || reported.has(event.seq)) continue;
    const first = task.tape.get(event.seq)!;
    if (first.event.type === event.type && first.event.digest === event.digest) continue;
    reported.add(event.seq);
    const [was, is] = [first.event, event].map(({ type, digest }) => `${type} ${digest}`);
    const message = `seq ${event.seq} was ${was} for ${first.by} and ${is} for ${by}`;
    yield { promise: "event-never-changes", taskId: task.taskId, subject: `seq ${event.seq}`, message };
  }
}

function* checkFinal(task: TaskFacts): Generator<Violation> {
  const final = finalOf(task);
  if (final === null) return;
  const { seq } = final.event;
  const other = task.sightings.find(({ event }) => event.type === "final" && event.seq !== seq);
  if (other !== undefined) {
    const message = `the tape has a final at seq ${seq} and another at seq ${other.event.seq}`;
    yield { promise: "one-final", taskId: task.taskId, subject: `seq ${other.event.seq}`, message };
  }
  const later = task.sightings.find(({ event }) => event.type !== "final" && lastSeqOf(event) > seq);
  if (later === undefined) return;
  const message = `${later.event.type} at seq ${later.event.seq} follows the final at seq ${seq}`;
  yield { promise: "final-last", taskId: task.taskId, subject: `seq ${later.event.seq}`, message };
}

function* checkPages(task: TaskFacts): Generator<Violation> {
  for (const call of task.pages) {
    const page = acknowledged(call);
    if (page === null) continue;
    const { fromSeq, events } = page.answered.line;
    const where = `a page from seq ${fromSeq}`;
    yield* checkReading(task, events, {
      fromSeq,
      where,
      subject: `page ${page.sent.line.client} ${page.sent.line.call}`,
    });
  }
}

function* checkSettled(task: TaskFacts, settled: Settled): Generator<Violation> {
  const { taskId } = task;
  const where = "the tape at the end of the run";
  yield* checkReading(task, settled.events, { fromSeq: 1, where, subject: "settled", isWhole: true });
  const stored = new Set(settled.events.map(({ seq }) => seq));
  const gone = [...task.tape].find(([seq]) => !stored.has(seq));
  if (gone === undefined) return;
  const [seq, { by }] = gone;
  const message = `${by} was shown seq ${seq}, which is not on the tape at the end of the run`;
  yield { promise: "acknowledged-event-durable", taskId, subject: `seq ${seq}`, message };
}

interface ReadingPlace {
  fromSeq: number;
  where: string;
  subject: string;
  /** Whether a missing event that a reader was shown is reported as lost elsewhere. */
  isWhole?: boolean;
}

function* checkReading(
  task: TaskFacts,
  events: readonly SeenEvent[],
  { fromSeq, where, subject, isWhole = false }: ReadingPlace,
): Generator<Violation> {
  const { missing, doubled, disordered } = readingFaults(events, fromSeq);
  const report = (promise: PromiseName, what: string, message: string): Violation => ({
    promise,
    taskId: task.taskId,
    subject: `${subject} ${what}`,
    message: `${where} ${message}`,
  });
  for (const range of missing) {
    if (isWhole && isShown(task.tape, range)) continue;
    yield report("seqs-gapless", rangeText(range), `leaves out ${rangeText(range)}`);
  }
  for (const seq of doubled) yield report("no-event-doubled", `seq ${seq}`, `repeats seq ${seq}`);
  for (const seq of disordered) yield report("events-in-order", `seq ${seq}`, `has seq ${seq} after a later seq`);
}

/** Returns whether a reader was shown an event of a range. */
export function isShown(
  tape: ReadonlyMap<number, Sighting>,
  { first, last }: { first: number; last: number },
): boolean {
  for (let seq = first; seq <= last; seq++) if (tape.has(seq)) return true;
  return false;
}
