import pLimit from "p-limit";
import type { Logger } from "pino";
import { StoreUnavailable } from "../../domain/errors.ts";
import type { NewEvent } from "../../domain/event.ts";
import type { Fence } from "../../domain/task.ts";
import { isContentError, isSerializationFailure, sqlstateOf } from "../../store/errors.ts";
import type { NewTask } from "../../store/tasks/new-task.ts";
import { outsideSpans } from "../../telemetry/trace-context.ts";
import { backoff } from "../../async/backoff.ts";
import { CreateQueue } from "./create-queue.ts";
import type { Create, CreateOutcome } from "./create-queue.ts";
import type { Feed } from "../read/feed.ts";
import { BatchWriter, EMPTY_BATCH, separate, sizeOf } from "./flush-batch.ts";
import type { Batch, FlushFailure, InTurn, PendingAppend } from "./flush-batch.ts";
import type { FlushStore } from "./flush-store.ts";
import type { TapeQuota } from "./tape-quota.ts";
import { TapeWriter } from "./tape-writer.ts";
import { UNOBSERVED } from "../api/engine-observer.ts";
import type { EngineObserver } from "../api/engine-observer.ts";

/** The maximum number of flushes at one time. No two of them write the same task. */
const MAX_CONCURRENT_FLUSHES = 2;
/** How much one flush takes. The item that passes the bound is still taken. */
const FLUSH_EVENTS_MAX = 8_192;
const FLUSH_BYTES_MAX = 4 * 1024 * 1024;
/** How long a start is retried while the database fails, before its caller is answered UNAVAILABLE. */
const CREATE_RETRY_MS = 3_000;
/**
 * How often the database refuses a batch of many items before the items are sent one by one. One item or the size of
 * the batch may cause the refusals, and the other items must not wait for that.
 */
const JOINT_REFUSALS_MAX = 3;
/** The number of connections that items use when they are sent one by one. */
const MAX_CONCURRENT_SINGLES = 2;

/**
 * The group commit. An idle journal flushes at once. While flushes are in progress, new items wait for the next flush.
 * Producers, callers and followers are notified after the commit.
 *
 * The journal retries a failed flush without limit: database trouble does not end an attempt. The journal gives up an
 * append only if the database refuses its content. If the answer to a flush was lost, the retry detects that the flush
 * is stored, so nothing is written twice.
 */
export class Journal {
  readonly #writer: BatchWriter;
  readonly #log: Logger;
  readonly #creates = new CreateQueue();
  /** Writers with events that no flush has taken. */
  readonly #writers = new Set<TapeWriter>();
  /** Writers with events in a current flush. */
  readonly #busy = new Set<TapeWriter>();
  readonly #stopped = new AbortController();
  readonly #singles = pLimit(MAX_CONCURRENT_SINGLES);
  #flushes = 0;
  /** The number of unsettled items that are sent one by one. */
  #separated = 0;
  #scheduled = false;
  #idle: PromiseWithResolvers<void> | null = null;

  constructor({
    store,
    feed,
    observer = UNOBSERVED,
    log,
  }: {
    store: FlushStore;
    feed: Feed;
    observer?: EngineObserver;
    log: Logger;
  }) {
    this.#writer = new BatchWriter({ store, feed, observer });
    this.#log = log;
  }

  /**
   * Opens the tape of an attempt for writing. Call once per attempt.
   *
   * @param appended how many events the attempt already has on the tape
   * @param quota what the attempt may append. null: any number of events
   * @param onLost called when the journal finds that the attempt no longer owns the task
   */
  open(
    fence: Fence,
    { appended = 0n, quota = null, onLost }: { appended?: bigint; quota?: TapeQuota | null; onLost: () => void },
  ): TapeWriter {
    const onEvents = (writer: TapeWriter) => {
      this.#writers.add(writer);
      this.#schedule();
    };
    return new TapeWriter(fence, { appended, quota, onEvents, onLost });
  }

  /**
   * Creates a task with its first events. Resolves when the task is durable.
   *
   * @throws RequestIdReused, Overloaded; StoreUnavailable if the database keeps failing. The task may exist despite
   *   StoreUnavailable, and a retry with the same request_id finds it
   */
  create(task: NewTask, events: readonly NewEvent[]): Promise<CreateOutcome> {
    const created = this.#creates.add(task, events);
    this.#schedule();
    return created;
  }

  /** Stops retries when the signal fires. An item whose write then fails is given up. */
  giveUpOn(signal: AbortSignal): void {
    const giveUp = () => this.#stopped.abort(signal.reason);
    signal.addEventListener("abort", giveUp, { once: true });
    if (signal.aborted) giveUp();
  }

  /** Waits until all items are settled or given up. */
  async stop(): Promise<void> {
    if (this.#isFlushing || !this.#creates.isEmpty || this.#writers.size > 0) {
      this.#idle ??= Promise.withResolvers();
      await this.#idle.promise;
    }
  }

  get #isFlushing(): boolean {
    return this.#flushes + this.#separated > 0;
  }

  /** Schedules a flush after the other I/O of this event loop turn, so items of one turn share the flush. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // A flush writes many tasks, so its span must not be a child of the call or attempt that schedules it.
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

  /** Frees the writers of a batch, except the writers of the appends that are left. */
  #settled(batch: Batch, left: Batch): void {
    const unsettled = new Set(left.appends.map(({ writer }) => writer));
    for (const { writer } of batch.appends) if (!unsettled.has(writer)) this.#busy.delete(writer);
    this.#schedule();
  }

  /** Takes the next batch. It has each task at most once, and no task of another flush. */
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
   * @param inTurn runs each statement, at once or behind a concurrency limit
   * @returns the items that the caller must send one by one, if the batch had many; else an empty batch
   */
  async #flush(batch: Batch, inTurn: InTurn = atOnce): Promise<Batch> {
    let unsettled = batch;
    let refusals = 0;
    for (let failures = 1; sizeOf(unsettled) > 0; failures++) {
      const failure = await this.#writer.flush(unsettled, inTurn);
      if (failure === null) break;
      const { remaining, error } = failure;
      const isOfContent = isContentError(error);
      if (toUnavailable(error).isReached) refusals++;
      if ((isOfContent || refusals >= JOINT_REFUSALS_MAX) && sizeOf(remaining) > 1) return remaining;
      if (isOfContent) return this.#refuse(remaining, error);
      if (failures === 1 && !isSerializationFailure(error)) this.#logFailure(remaining, error);
      unsettled = this.#toRetry(failure);
      if (!(await backoff(failures, this.#stopped.signal))) return this.#giveUp(unsettled, toUnavailable(error));
    }
    return EMPTY_BATCH;
  }

  /** Returns the items to retry after a failure, without late creates and without appends of lost attempts. */
  #toRetry({ remaining, error }: FlushFailure): Batch {
    const batch = isSerializationFailure(error)
      ? remaining
      : { ...this.#giveUpLateCreates(remaining, toUnavailable(error)), isDoubtful: true };
    return { ...batch, appends: batch.appends.filter(({ writer }) => !writer.isLost) };
  }

  #logFailure(batch: Batch, error: unknown): void {
    const items = sizeOf(batch);
    const fields = { err: error instanceof StoreUnavailable ? error.cause : error, sqlstate: sqlstateOf(error), items };
    const taskId = items === 1 ? taskIdOf(batch) : undefined;
    this.#log.warn({ ...fields, task_id: taskId }, "journal: flush failed, retrying");
  }

  /** Gives up an item whose content the database refuses. */
  #refuse(single: Batch, error: unknown): Batch {
    this.#log.error({ err: error, task_id: taskIdOf(single) }, "journal: content refused by the database");
    for (const { done } of single.creates) done.reject(error);
    for (const { writer } of single.appends) writer.revoke(error instanceof Error ? error : new Error(String(error)));
    return EMPTY_BATCH;
  }

  #giveUpLateCreates(batch: Batch, error: StoreUnavailable): Batch {
    const before = performance.now() - CREATE_RETRY_MS;
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

/** Treats unknown errors as an unavailable database: they pass, or the log and the doctor report them. */
function toUnavailable(error: unknown): StoreUnavailable {
  return error instanceof StoreUnavailable ? error : new StoreUnavailable(error, { sqlstate: sqlstateOf(error) });
}
