import type { Kysely } from "kysely";
import { StoreUnavailable } from "../../domain/errors.ts";
import { requireComparable } from "../../domain/follow-cursor.ts";
import type { FollowCursor, Place } from "../../domain/follow-cursor.ts";
import { PAGE_EVENTS_MAX } from "../../domain/limits.ts";
import type { Snapshot } from "../../domain/snapshot.ts";
import type { Task } from "../../domain/task.ts";
import { findVisibleSeq, readChangedTapes, readChangedTasks } from "../../store/tapes/changed-tasks.ts";
import type { ChangedTape, ChangeQuery } from "../../store/tapes/changed-tasks.ts";
import { readRanges } from "../../store/tapes/event-queries.ts";
import type { EventRange } from "../../store/tapes/event-queries.ts";
import { findRemoved } from "../../store/tasks/removed-tasks.ts";
import type { Database } from "../../store/schema.ts";
import type { FollowedPage, FollowedTask, FollowTasksQuery, TaskView } from "../api/task-engine.ts";

/** The most tapes or tasks that one scan finds. The next scan continues after the last one. */
const TAPES_MAX = 500;
const TASKS_MAX = 200;

/** The source of changes. */
export interface ChangeSource {
  db: Kysely<Database>;
  namespace: string;
  /** How often the namespace had been moved when the source was opened. */
  generation: number;
  /** Runs a read when its turn comes. All scans of this process share a few connections; other calls get the rest. */
  turn<Answer>(read: () => Promise<Answer>): Promise<Answer>;
  /** Adds what callers see besides the stored task. */
  withAvailability(task: Task): Promise<TaskView>;
}

/**
 * Scans for changes that the round's target shows and `seen` does not. Finishes the round that is under way, or else
 * runs a new round whose target is the current snapshot. The last page is empty, and its cursor is that of the finished
 * round. Every cursor holds only durable snapshots, so a round without changes may leave its cursor unchanged.
 *
 * readChangedTapes and readChangedTasks find the tasks; their file has an example.
 *
 * @param mustBeDurable whether the cursor must advance even if the round finds nothing
 * @throws InvalidArgument if the database was failed over meanwhile and may have lost commits; StoreUnavailable
 */
export async function* scanChanges(
  source: ChangeSource,
  { view, kinds, labels }: Pick<FollowTasksQuery, "view" | "kinds" | "labels">,
  { generation, seen, round }: FollowCursor,
  { mustBeDurable }: { mustBeDurable: boolean },
): AsyncGenerator<FollowedPage> {
  const scan = view === "events" ? scanTapes : scanTasks;
  for (let under = round; ;) {
    const changes = { namespace: source.namespace, kinds, labels, seen, round: under, mustBeDurable };
    const { snapshot, isDurable, pages, end } = await scan(source, changes);
    requireComparable({ seen, round: under }, snapshot);
    const target = under?.target ?? (isDurable ? snapshot : seen); // If there are pages, the snapshot is durable.
    for await (const tasks of pages)
      yield { generation, seen, target, tasks, cursor: cursorAfter({ generation, seen, target }, tasks.at(-1)!) };
    const done: FollowCursor = { generation, seen: target, round: null };
    if (end === null) return yield { generation, seen, target, tasks: [], cursor: done };
    under = { target, place: end };
  }
}

/**
 * Returns the cursor of a follower that has received a page up to one of its tasks.
 *
 * @param seq the seq of the task's last event that was delivered; null if the page has states instead of events
 */
export function cursorAfter(
  { generation, seen, target }: Pick<FollowedPage, "generation" | "seen" | "target">,
  { endedXid, taskId, events }: FollowedTask,
  seq = events.at(-1)?.seq ?? null,
): FollowCursor {
  return { generation, seen, round: { target, place: { endedXid, taskId, seq } } };
}

/** The result of one scan. */
interface Scan {
  snapshot: Snapshot;
  isDurable: boolean;
  /** Each page has at least one task. */
  pages: AsyncIterable<FollowedTask[]> | Iterable<FollowedTask[]>;
  /** Where the next scan continues; null if this was the last one. */
  end: Place | null;
}

type ChangeFilter = Omit<ChangeQuery, "limit">;

async function scanTasks({ db, turn, withAvailability }: ChangeSource, filter: ChangeFilter): Promise<Scan> {
  const { snapshot, isDurable, tasks, hasMore } = await turn(() =>
    readChangedTasks(db, { ...filter, limit: TASKS_MAX }),
  );
  const given = filter.round?.place.taskId;
  const page = await Promise.all(
    tasks
      .filter(({ taskId }) => taskId !== given)
      .map(async ({ taskId, endedXid, task, progress }): Promise<FollowedTask> => {
        const state = { task: await withAvailability(task), progress };
        return { taskId, kind: task.kind, endedXid, events: [], state };
      }),
  );
  const last = tasks.at(-1);
  return {
    snapshot,
    isDurable,
    pages: page.length === 0 ? [] : [page],
    end: hasMore ? { endedXid: last!.endedXid, taskId: last!.taskId, seq: null } : null,
  };
}

async function scanTapes(source: ChangeSource, filter: ChangeFilter): Promise<Scan> {
  const { seen, round } = filter;
  const { snapshot, isDurable, tasks, hasMore } = await source.turn(() =>
    readChangedTapes(source.db, { ...filter, limit: TAPES_MAX }),
  );
  const last = tasks.at(-1);
  return {
    snapshot,
    isDurable,
    pages: readUnseenEvents(source, tasks, { seen, target: round?.target ?? snapshot, place: round?.place ?? null }),
    end: hasMore ? { endedXid: last!.endedXid, taskId: last!.taskId, seq: last!.lastSeq } : null,
  };
}

interface UnseenEvents {
  tape: ChangedTape;
  range: EventRange;
}

/** Reads pages of the unseen events of some tapes, one tape after the other, each up to what the target shows. */
async function* readUnseenEvents(
  source: ChangeSource,
  tapes: readonly ChangedTape[],
  bounds: RangeBounds,
): AsyncGenerator<FollowedTask[]> {
  const ahead = tapes.values();
  let unseen: UnseenEvents[] = [];
  for (;;) {
    for (let count = countOf(unseen); count < PAGE_EVENTS_MAX; count = countOf(unseen)) {
      const { value: tape, done } = ahead.next();
      if (done) break;
      const range = await rangeOf(source, tape, bounds);
      if (range.fromSeq <= range.toSeq) unseen.push({ tape, range });
    }
    if (unseen.length === 0) return;
    const asked = firstOf(unseen, BigInt(PAGE_EVENTS_MAX));
    const read = await source.turn(() => readRanges(source.db, { namespace: source.namespace, ranges: asked }));
    const page = unseen.map((each, index) => ({ ...each, events: read[index] ?? [] }));
    if (page.every(({ events }) => events.length === 0)) {
      unseen = await withoutRemoved(source, unseen);
      continue;
    }
    yield page
      .filter(({ events }) => events.length > 0)
      .map(({ tape: { taskId, kind, endedXid }, events }) => ({ taskId, kind, endedXid, events, state: null }));
    unseen = page
      .map(({ tape, range, events }) => ({ tape, range: { ...range, fromSeq: range.fromSeq + BigInt(events.length) } }))
      .filter(({ range }) => range.fromSeq <= range.toSeq);
  }
}

/** Returns the tapes without those of removed tasks. @throws StoreUnavailable if no task was removed */
async function withoutRemoved({ db, turn }: ChangeSource, unseen: readonly UnseenEvents[]): Promise<UnseenEvents[]> {
  const taskIds = unseen.map(({ range }) => range.taskId);
  const removed = await turn(() => findRemoved(db, taskIds));
  if (removed.size > 0) return unseen.filter(({ range }) => !removed.has(range.taskId));
  throw new StoreUnavailable(
    new Error("events that were visible before are gone: the database was failed over or restored"),
  );
}

function countOf(unseen: readonly UnseenEvents[]): number {
  return unseen.reduce((count, { range }) => count + Number(range.toSeq - range.fromSeq) + 1, 0);
}

/** Returns the ranges of the first `count` unseen events. */
function firstOf(unseen: readonly UnseenEvents[], count: bigint): EventRange[] {
  const ranges: EventRange[] = [];
  let room = count;
  for (const { range } of unseen) {
    if (room <= 0n) break;
    const most = range.fromSeq + room - 1n;
    ranges.push({ ...range, toSeq: range.toSeq < most ? range.toSeq : most });
    room -= range.toSeq - range.fromSeq + 1n;
  }
  return ranges;
}

interface RangeBounds {
  seen: Snapshot;
  target: Snapshot;
  /** How far the round has come. */
  place: Place | null;
}

/** Returns the range of a tape that a round delivers. Searches a bound that the statement did not find near the end. */
async function rangeOf(
  { db, turn }: ChangeSource,
  tape: ChangedTape,
  { seen, target, place }: RangeBounds,
): Promise<EventRange> {
  const { taskId } = tape;
  const find = (snapshot: Snapshot) => turn(() => findVisibleSeq(db, tape, snapshot));
  const given = place?.taskId === taskId ? place.seq : null;
  const seenSeq = given ?? tape.seenSeq ?? (await find(seen));
  return { taskId, fromSeq: seenSeq + 1n, toSeq: tape.targetSeq ?? (await find(target)) };
}
