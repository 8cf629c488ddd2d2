import type { Kysely } from "kysely";
import pLimit from "p-limit";
import type { Logger } from "pino";
import { StoreUnavailable } from "../../domain/errors.ts";
import type { NewEvent } from "../../domain/event.ts";
import type { Fence } from "../../domain/task.ts";
import { isContentError, isSerializationFailure, sqlstateOf } from "../../store/errors.ts";
import type { NewTask } from "../../store/tasks/new-task.ts";
import type { Database } from "../../store/schema.ts";
import { outsideSpans } from "../../telemetry/trace-context.ts";
import { backoff } from "../../async/backoff.ts";
import { CreateQueue } from "./create-queue.ts";
import type { Create, CreateOutcome } from "./create-queue.ts";
import type { Feed } from "../read/feed.ts";
import { BatchWriter, EMPTY_BATCH, separate, sizeOf } from "./flush-batch.ts";
import type { Batch, FlushFailure, InTurn, PendingAppend } from "./flush-batch.ts";
import { TapeWriter } from "./tape-writer.ts";
import { UNOBSERVED } from "../api/engine-metrics.ts";
import type { EngineObserver } from "../api/engine-metrics.ts";

/** Each with tasks of its own. */
const MAX_CONCURRENT_FLUSHES = 2;
/** What one flush takes at the most, before the item that passes the bound. */
const FLUSH_EVENTS_MAX = 8_192;
const FLUSH_BYTES_MAX = 4 * 1024 * 1024;
/** How long a start is held while the database is in trouble, before its caller is answered UNAVAILABLE. */
const CREATE_PATIENCE_MS = 3_000;
/**
 * How often a batch of many items is refused as a whole before its items are sent one by one: the trouble may be with
 * one of them, or with how much it is at once, and the others are not to wait for that.
 */
const JOINT_REFUSALS_MAX = 3;
/** Items that are sent one by one take so many connections. */
const MAX_CONCURRENT_SINGLES = 2;

/**
 * The group commit. While a flush is under way, what arrives waits and becomes the next flush; an idle journal flushes
 * at once. Producers, callers and followers are answered after the commit.
 *
 * A flush that fails is sent again for as long as it takes: no trouble of the database ends an attempt. Only an item
 * whose own content is refused is given up. A flush whose answer was lost is recognised when it is sent again, and never
 * written twice.
 */
export class Journal {
  readonly #writer: BatchWriter;
  readonly #log: Logger;
  readonly #creates = new CreateQueue();
  /** Writers with events that no flush has taken. */
  readonly #writers = new Set<TapeWriter>();
  /** Writers with events in a flush under way. */
  readonly #busy = new Set<TapeWriter>();
  readonly #stopped = new AbortController();
  readonly #singles = pLimit(MAX_CONCURRENT_SINGLES);
  #flushes = 0;
  /** Items that are sent one by one, and not settled yet. */
  #separated = 0;
  #scheduled = false;
  #idle: PromiseWithResolvers<void> | null = null;

  constructor({
    db,
    feed,
    observer = UNOBSERVED,
    log,
  }: {
    db: Kysely<Database>;
    feed: Feed;
    observer?: EngineObserver;
    log: Logger;
  }) {
    this.#writer = new BatchWriter({ db, feed, observer });
    this.#log = log;
  }

  /**
   * Opens the tape of an attempt for writing, once an attempt.
   *
   * @param appended how many events the attempt has on the tape already
   * @param onLost is called when it turns out that the task is not the attempt's any more
   */
  open(fence: Fence, { appended = 0n, onLost }: { appended?: bigint; onLost: () => void }): TapeWriter {
    const onEvents = (writer: TapeWriter) => {
      this.#writers.add(writer);
      this.#schedule();
    };
    return new TapeWriter(fence, { appended, onEvents, onLost });
  }

  /**
   * Creates a task with its first events. Resolves when it is durable.
   *
   * @throws RequestIdReused, Overloaded, and StoreUnavailable when the trouble of the database lasts; a task whose start
   *   was answered so may exist all the same, and a retry with its request_id finds it
   */
  create(task: NewTask, events: readonly NewEvent[]): Promise<CreateOutcome> {
    const created = this.#creates.add(task, events);
    this.#schedule();
    return created;
  }

  /** Once the signal fires nothing is sent again: what could not be written by then is given up. */
  giveUpOn(signal: AbortSignal): void {
    const giveUp = () => this.#stopped.abort(signal.reason);
    signal.addEventListener("abort", giveUp, { once: true });
    if (signal.aborted) giveUp();
  }

  /** Waits until everything that was handed in is settled, or given up. */
  async stop(): Promise<void> {
    if (this.#isFlushing || !this.#creates.isEmpty || this.#writers.size > 0) {
      this.#idle ??= Promise.withResolvers();
      await this.#idle.promise;
    }
  }

  get #isFlushing(): boolean {
    return this.#flushes + this.#separated > 0;
  }

  /** What the other I/O of this turn of the event loop brings shares the flush. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // A flush is of many tasks: it is no part of the call or the attempt that happens to ask for it.
    outsideSpans(() =>
      setImmediate(() => {
        this.#scheduled = false;
        this.#pump();
      }),
    );
  }

  #pump(): void {
    while (this.#flushes < MAX_CONCURRENT_FLUSHES) {
      const batch = this.#takeBatch();
      if (batch === null) break;
      this.#flushes++;
      void this.#flush(batch).then((left) => {
        this.#flushes--;
        this.#settled(batch, left);
        for (const single of separate(left)) void this.#flushSingle(single);
      });
    }
    if (!this.#isFlushing) {
      this.#idle?.resolve();
      this.#idle = null;
    }
  }

  async #flushSingle(single: Batch): Promise<void> {
    this.#separated++;
    await this.#flush(single, this.#singles);
    this.#separated--;
    this.#settled(single, EMPTY_BATCH);
  }

  /** Frees the writers of a batch, but for those that are in what is left of it. */
  #settled(batch: Batch, left: Batch): void {
    const unsettled = new Set(left.appends.map(({ writer }) => writer));
    for (const { writer } of batch.appends) if (!unsettled.has(writer)) this.#busy.delete(writer);
    this.#schedule();
  }

  /** Each task at most once, and none that is in another flush. */
  #takeBatch(): Batch | null {
    const appends: PendingAppend[] = [];
    const { creates, bytes: createBytes } = this.#creates.take(MAX_CONCURRENT_FLUSHES - this.#flushes);
    let bytes = createBytes;
    let events = 0;
    for (const writer of this.#writers) {
      if (events >= FLUSH_EVENTS_MAX || bytes >= FLUSH_BYTES_MAX) break;
      if (this.#busy.has(writer)) continue;
      this.#writers.delete(writer);
      if (writer.isEmpty) continue;
      this.#busy.add(writer);
      const taken = writer.take();
      appends.push({ writer, taken });
      events += taken.events.length;
      bytes += taken.bytes;
    }
    return creates.length + appends.length === 0 ? null : { creates, appends, isDoubtful: false };
  }

  /**
   * Sends a batch until it is settled. Never rejects.
   *
   * @param inTurn runs each statement when it may be sent
   * @returns what remains of a batch of many, to be sent item by item
   */
  async #flush(batch: Batch, inTurn: InTurn = atOnce): Promise<Batch> {
    let unsettled = batch;
    let refusals = 0;
    for (let failures = 1; sizeOf(unsettled) > 0; failures++) {
      const failure = await this.#writer.flush(unsettled, inTurn);
      if (failure === null) break;
      const { remaining, error } = failure;
      const isOfContent = isContentError(error);
      if (toTrouble(error).isReached) refusals++;
      if ((isOfContent || refusals >= JOINT_REFUSALS_MAX) && sizeOf(remaining) > 1) return remaining;
      if (isOfContent) return this.#refuse(remaining, error);
      if (failures === 1 && !isSerializationFailure(error)) this.#logFailure(remaining, error);
      unsettled = this.#toRetry(failure);
      if (!(await backoff(failures, this.#stopped.signal))) return this.#giveUp(unsettled, toTrouble(error));
    }
    return EMPTY_BATCH;
  }

  /** Returns what to send again after a failure: no create that has waited too long, and no append of a lost attempt. */
  #toRetry({ remaining, error }: FlushFailure): Batch {
    const batch = isSerializationFailure(error)
      ? remaining
      : { ...this.#giveUpLateCreates(remaining, toTrouble(error)), isDoubtful: true };
    return { ...batch, appends: batch.appends.filter(({ writer }) => !writer.isLost) };
  }

  #logFailure(batch: Batch, error: unknown): void {
    const items = sizeOf(batch);
    const fields = { err: error instanceof StoreUnavailable ? error.cause : error, sqlstate: sqlstateOf(error), items };
    const taskId = items === 1 ? taskIdOf(batch) : undefined;
    this.#log.warn({ ...fields, task_id: taskId }, "journal: flush failed, retrying");
  }

  /** The database refuses what an item holds: it is not sent again. */
  #refuse(single: Batch, error: unknown): Batch {
    this.#log.error({ err: error, task_id: taskIdOf(single) }, "journal: content refused by the database");
    for (const { done } of single.creates) done.reject(error);
    for (const { writer } of single.appends) writer.revoke(error instanceof Error ? error : new Error(String(error)));
    return EMPTY_BATCH;
  }

  #giveUpLateCreates(batch: Batch, error: StoreUnavailable): Batch {
    const before = performance.now() - CREATE_PATIENCE_MS;
    const isLate = ({ since }: Create) => since <= before;
    const late = [...batch.creates.filter(isLate), ...this.#creates.takeLate(before)];
    for (const { done } of late) done.reject(error);
    return { ...batch, creates: batch.creates.filter((create) => !isLate(create)) };
  }

  #giveUp({ creates, appends }: Batch, error: StoreUnavailable): Batch {
    for (const { done } of creates) done.reject(error);
    for (const { writer } of appends) writer.revoke(error);
    return EMPTY_BATCH;
  }
}

function atOnce<Result>(work: () => Promise<Result>): Promise<Result> {
  return work();
}

function taskIdOf({ creates, appends }: Batch): string | undefined {
  return creates[0]?.task.taskId ?? appends[0]?.writer.fence.taskId;
}

/** What is not known is treated as the database's trouble: it passes, or it is seen in the log and by the doctor. */
function toTrouble(error: unknown): StoreUnavailable {
  return error instanceof StoreUnavailable ? error : new StoreUnavailable(error, { sqlstate: sqlstateOf(error) });
}
