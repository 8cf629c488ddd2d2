// stream-over-many-complete, stream-over-many-order, cursor-loses-nothing

import type { NewsLine, SeenEvent, TasksEnded, TasksOpened } from "../history.ts";
import { DELIVERED_WITHIN_MS, quietSince } from "./bounds.ts";
import { eventOf } from "./collect-facts.ts";
import { lastSeqOf, mayBeRemoved } from "./facts.ts";
import type { Facts, Placed, TaskFacts } from "./facts.ts";
import type { PromiseName, Violation } from "./promises.ts";
import { rangeText, readingFaults } from "./reading.ts";
import { isShown } from "./tapes.ts";

/** A stream over many tasks, from its opening to its end or to the end of the history. */
interface TasksStream {
  opened: Placed<TasksOpened>;
  news: Placed<NewsLine>[];
  ended: Placed<TasksEnded> | null;
  /** The position at which it was opened; null: at a point between the events of a tape, or at an unknown cursor. */
  base: Position | null;
}

/** What a cursor has seen: the next seq of each task, and 1 of every other task if it began at the start. */
interface Position {
  next: Map<string, number>;
  isFromStart: boolean;
}

export function* checkManyTasks(facts: Facts): Generator<Violation> {
  for (const stream of collectStreams(facts)) {
    const byTask = Map.groupBy(stream.news, ({ line }) => line.taskId);
    for (const [taskId, news] of byTask) yield* checkTask(facts, stream, taskId, news);
    yield* checkTail(facts, stream, byTask);
    const { ended, opened } = stream;
    if (ended?.line.reason !== "failed" || ended.line.error.code !== "DATA_LOSS") continue;
    // The client compares what it receives, and gives up a stream that skips or repeats an event.
    const message = `follower ${opened.line.follower} of many tasks has given up its stream: ${ended.line.error.message}`;
    const subject = `${opened.line.follower} ${ended.line.at}`;
    yield { promise: "stream-over-many-order", taskId: null, subject, message };
  }
}

function collectStreams({ lines }: Facts): TasksStream[] {
  const streams: TasksStream[] = [];
  const open = new Map<string, TasksStream>();
  /** The stream and the place of the last news of each cursor. */
  const cursors = new Map<string, { stream: TasksStream; count: number }>();
  for (const [index, line] of lines.entries()) {
    if (line.type === "tasks_opened") {
      const base = line.cursor === null ? emptyPosition(line) : positionAt(cursors.get(line.cursor));
      const stream: TasksStream = { opened: { line, index }, news: [], ended: null, base };
      streams.push(stream);
      open.set(line.follower, stream);
    } else if (line.type === "news") {
      const stream = open.get(line.follower);
      if (stream === undefined) continue;
      stream.news.push({ line, index });
      cursors.set(line.cursor, { stream, count: stream.news.length });
    } else if (line.type === "tasks_ended") {
      const stream = open.get(line.follower);
      if (stream !== undefined) stream.ended = { line, index };
      open.delete(line.follower);
    }
  }
  return streams;
}

function emptyPosition({ fromStart }: TasksOpened): Position {
  return { next: new Map(), isFromStart: fromStart };
}

function positionAt(cursor: { stream: TasksStream; count: number } | undefined): Position | null {
  if (cursor === undefined || cursor.stream.base === null) return null;
  const { base, news } = cursor.stream;
  const next = new Map(base.next);
  for (const { line } of news.slice(0, cursor.count)) {
    next.set(line.taskId, Math.max(next.get(line.taskId) ?? 1, lastSeqOf(eventOf(line)) + 1));
  }
  return { next, isFromStart: base.isFromStart };
}

/** Returns the first seq of a task that a stream must deliver; null: unknown. */
function firstSeq({ base, news }: TasksStream, task: TaskFacts | undefined, taskId: string): number | null {
  const known = base?.next.get(taskId);
  if (known !== undefined) return known;
  if (base?.isFromStart === true) return 1;
  // A stream without a position has begun when its first event arrives. It sees later tasks from their first event.
  const begun = news[0]?.index ?? Infinity;
  const isLater = task?.starts.some(({ sent, answered }) => !answered.line.alreadyStarted && sent.index > begun);
  return isLater ? 1 : null;
}

function* checkTask(
  facts: Facts,
  stream: TasksStream,
  taskId: string,
  news: readonly Placed<NewsLine>[],
): Generator<Violation> {
  const { follower, cursor } = stream.opened.line;
  const events: SeenEvent[] = news.map(({ line }) => eventOf(line));
  const first = firstSeq(stream, facts.tasks.get(taskId), taskId);
  const from = first ?? Math.min(...events.map(({ seq }) => seq));
  const { missing, doubled, disordered } = readingFaults(events, from);
  const report = (promise: PromiseName, what: string, message: string): Violation => ({
    promise,
    taskId,
    subject: `${follower} ${stream.opened.line.cursor} ${what}`,
    message: `follower ${follower} of many tasks${cursor === null ? "" : `, from cursor ${cursor},`} ${message}`,
  });
  const atCursor = (promise: PromiseName, isFirst: boolean): PromiseName =>
    cursor !== null && isFirst ? "cursor-loses-nothing" : promise;
  for (const range of missing) {
    const message = `received a later event without ${rangeText(range)}`;
    // A seq that no reader ever saw is missing on the tape itself.
    const isOnTape = isShown(facts.tasks.get(taskId)!.tape, range);
    const promise = atCursor("stream-over-many-complete", range.first === from);
    yield report(isOnTape ? promise : "seqs-gapless", rangeText(range), message);
  }
  for (const seq of doubled) {
    yield report(atCursor("stream-over-many-order", seq < from), `seq ${seq}`, `received seq ${seq} again`);
  }
  for (const seq of disordered) {
    yield report("stream-over-many-order", `seq ${seq}`, `received seq ${seq} after a later seq`);
  }
}

/** Checks that a stream which stayed open long enough after the last fault has delivered what other readers saw. */
function* checkTail(
  facts: Facts,
  stream: TasksStream,
  byTask: ReadonlyMap<string, Placed<NewsLine>[]>,
): Generator<Violation> {
  const { opened, ended, news } = stream;
  if (ended !== null && ended.line.reason !== "left") return;
  const end =
    ended === null ? { index: facts.lines.length, at: facts.endAt } : { index: ended.index, at: ended.line.at };
  const lastNewsAt = news.at(-1)?.line.at ?? 0;
  const quiet = quietSince(facts.faults, Math.max(opened.line.at, lastNewsAt), end.at);
  if (end.at - quiet <= DELIVERED_WITHIN_MS) return;
  const { follower, namespace, kinds } = opened.line;
  for (const task of facts.tasks.values()) {
    if (task.namespace !== namespace || mayBeRemoved(task, end)) continue;
    if (kinds.length > 0 && (task.kind === null || !kinds.includes(task.kind))) continue;
    const delivered = (byTask.get(task.taskId) ?? []).map(({ line }) => lastSeqOf(eventOf(line)) + 1);
    const first = firstSeq(stream, task, task.taskId) ?? (delivered.length > 0 ? 1 : null);
    if (first === null) continue;
    const next = Math.max(first, ...delivered);
    const seen = task.sightings.find(({ event, index }) => index < end.index && lastSeqOf(event) >= next);
    if (seen === undefined || end.at - Math.max(seen.at, quiet) <= DELIVERED_WITHIN_MS) continue;
    const message = `follower ${follower} of many tasks waited and did not receive seq ${next}, which ${seen.by} had received`;
    const subject = `${follower} ${opened.line.cursor} tail ${next}`;
    yield { promise: "stream-over-many-complete", taskId: task.taskId, subject, message };
  }
}
