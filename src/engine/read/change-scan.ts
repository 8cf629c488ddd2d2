import type { Kysely } from "kysely";
import { StoreUnavailable } from "../../domain/errors.ts";
import { requireComparable } from "../../domain/follow-cursor.ts";
import type { FollowCursor, Place } from "../../domain/follow-cursor.ts";
import { PAGE_EVENTS_MAX } from "../../domain/limits.ts";
import type { Snapshot } from "../../domain/snapshot.ts";
import type { Task } from "../../domain/task.ts";
import { findVisibleSeq, readChangedTapes, readChangedTasks } from "../../store/tapes/changed-tasks.ts";
import type { ChangedTape, ChangeQuery } from "../../store/tapes/changed-tasks.ts";
import { readSpans } from "../../store/tapes/event-queries.ts";
import type { Span } from "../../store/tapes/event-queries.ts";
import type { Database } from "../../store/schema.ts";
import type { FollowedPage, FollowedTask, FollowTasksQuery, TaskView } from "../api/task-engine.ts";

/** How many tasks one look finds at the most, before the next goes on behind them. */
const TAPES_MAX = 500;
const TASKS_MAX = 200;

/** What a round is read from. */
export interface RoundSource {
  db: Kysely<Database>;
  namespace: string;
  /** Keeps the reads of all rounds of this process to a few at once: the others have the rest of the connections. */
  turn<Answer>(read: () => Promise<Answer>): Promise<Answer>;
  /** Adds what callers see besides the stored task. */
  withAvailability(task: Task): Promise<TaskView>;
}

/**
 * Gives what is visible in a round's target and not in what has been seen: of a round that is under way the rest, else
 * of a new one, whose target is what is visible now. The last page is empty, and its cursor is that of the round done.
 * Every cursor holds durable snapshots only: a round that found nothing may leave its cursor where it was.
 *
 * @param mustBeDurable whether its cursor is to go on though the round finds nothing
 * @throws InvalidArgument where the database was failed over meanwhile and may have lost commits; StoreUnavailable
 */
export async function* giveRound(
  source: RoundSource,
  { view, kinds, labels }: Pick<FollowTasksQuery, "view" | "kinds" | "labels">,
  { seen, round }: FollowCursor,
  { mustBeDurable }: { mustBeDurable: boolean },
): AsyncGenerator<FollowedPage> {
  const lookAt = view === "events" ? lookAtTapes : lookAtTasks;
  for (let under = round; ;) {
    const changes = { namespace: source.namespace, kinds, labels, seen, round: under, mustBeDurable };
    const { snapshot, isDurable, pages, end } = await lookAt(source, changes);
    requireComparable({ seen, round: under }, snapshot);
    const target = under?.target ?? (isDurable ? snapshot : seen); // Where there are pages it is durable.
    for await (const tasks of pages)
      yield { seen, target, tasks, cursor: cursorAfter({ seen, target }, tasks.at(-1)!) };
    if (end === null) return yield { seen, target, tasks: [], cursor: { seen: target, round: null } };
    under = { target, place: end };
  }
}

/**
 * Where a follower stands who has been given a page up to one of its tasks.
 *
 * @param seq of the task's events the last that was given, where these are what is given
 */
export function cursorAfter(
  { seen, target }: Pick<FollowedPage, "seen" | "target">,
  { endedXid, taskId, events }: FollowedTask,
  seq = events.at(-1)?.seq ?? null,
): FollowCursor {
  return { seen, round: { target, place: { endedXid, taskId, seq } } };
}

/** What one look has found. */
interface Look {
  snapshot: Snapshot;
  isDurable: boolean;
  /** Each of one task at least. */
  pages: AsyncIterable<FollowedTask[]> | Iterable<FollowedTask[]>;
  /** Where the next look goes on; null: there is nothing behind it. */
  end: Place | null;
}

type ChangeFilter = Omit<ChangeQuery, "limit">;

async function lookAtTasks({ db, turn, withAvailability }: RoundSource, filter: ChangeFilter): Promise<Look> {
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

async function lookAtTapes(source: RoundSource, filter: ChangeFilter): Promise<Look> {
  const { seen, round } = filter;
  const { snapshot, isDurable, tasks, hasMore } = await source.turn(() =>
    readChangedTapes(source.db, { ...filter, limit: TAPES_MAX }),
  );
  const last = tasks.at(-1);
  return {
    snapshot,
    isDurable,
    pages: readTapes(source, tasks, { seen, target: round?.target ?? snapshot, place: round?.place ?? null }),
    end: hasMore ? { endedXid: last!.endedXid, taskId: last!.taskId, seq: last!.lastSeq } : null,
  };
}

interface Wanted {
  tape: ChangedTape;
  span: Span;
}

/** Pages of what is new on some tapes: of one after the other, each as far as the target shows it. */
async function* readTapes(
  source: RoundSource,
  tapes: readonly ChangedTape[],
  bounds: SpanBounds,
): AsyncGenerator<FollowedTask[]> {
  const ahead = tapes.values();
  let wanted: Wanted[] = [];
  for (;;) {
    for (let count = countOf(wanted); count < PAGE_EVENTS_MAX; count = countOf(wanted)) {
      const { value: tape, done } = ahead.next();
      if (done) break;
      const span = await spanOf(source, tape, bounds);
      if (span.fromSeq <= span.toSeq) wanted.push({ tape, span });
    }
    if (wanted.length === 0) return;
    const asked = firstOf(wanted, BigInt(PAGE_EVENTS_MAX));
    const read = await source.turn(() => readSpans(source.db, asked));
    const page = wanted.map((each, index) => ({ ...each, events: read[index] ?? [] }));
    if (page.every(({ events }) => events.length === 0)) {
      throw new StoreUnavailable(
        new Error("events that were visible are gone: the database was failed over or restored"),
      );
    }
    yield page
      .filter(({ events }) => events.length > 0)
      .map(({ tape: { taskId, kind, endedXid }, events }) => ({ taskId, kind, endedXid, events, state: null }));
    wanted = page
      .map(({ tape, span, events }) => ({ tape, span: { ...span, fromSeq: span.fromSeq + BigInt(events.length) } }))
      .filter(({ span }) => span.fromSeq <= span.toSeq);
  }
}

function countOf(wanted: readonly Wanted[]): number {
  return wanted.reduce((count, { span }) => count + Number(span.toSeq - span.fromSeq) + 1, 0);
}

/** The first events of what is wanted. */
function firstOf(wanted: readonly Wanted[], count: bigint): Span[] {
  const spans: Span[] = [];
  let room = count;
  for (const { span } of wanted) {
    if (room <= 0n) break;
    const most = span.fromSeq + room - 1n;
    spans.push({ ...span, toSeq: span.toSeq < most ? span.toSeq : most });
    room -= span.toSeq - span.fromSeq + 1n;
  }
  return spans;
}

interface SpanBounds {
  seen: Snapshot;
  target: Snapshot;
  /** How far the round has come. */
  place: Place | null;
}

/** What a round has of a tape. Where too much is new on it to have been looked through, its bounds are searched for. */
async function spanOf(
  { db, turn }: RoundSource,
  tape: ChangedTape,
  { seen, target, place }: SpanBounds,
): Promise<Span> {
  const { taskId } = tape;
  const find = (snapshot: Snapshot) => turn(() => findVisibleSeq(db, tape, snapshot));
  const given = place?.taskId === taskId ? place.seq : null;
  const seenSeq = given ?? tape.seenSeq ?? (await find(seen));
  return { taskId, fromSeq: seenSeq + 1n, toSeq: tape.targetSeq ?? (await find(target)) };
}
