import type { Kysely } from "kysely";
import type { Logger } from "pino";
import { RequestIdReused, StoreUnavailable } from "../domain/errors.ts";
import type { NewEvent } from "../domain/event.ts";
import { differencesOf } from "../domain/request-digest.ts";
import { isTerminal } from "../domain/task.ts";
import type { Fence } from "../domain/task.ts";
import { isSerializationFailure } from "../store/errors.ts";
import { writeFlush } from "../store/journal-statement.ts";
import type { NewTask } from "../store/new-task.ts";
import { readTaskByRequest, readTaskStates } from "../store/task-queries.ts";
import type { Database } from "../store/schema.ts";
import { outsideSpans } from "../telemetry/trace-context.ts";
import { backoff } from "./backoff.ts";
import { CreateQueue } from "./create-queue.ts";
import type { Create, CreateOutcome } from "./create-queue.ts";
import type { Feed } from "./feed.ts";
import { TapeWriter } from "./tape-writer.ts";
import type { TakenEvents } from "./tape-writer.ts";
import { UNWATCHED } from "./watch.ts";
import type { EngineWatch } from "./watch.ts";

/** How many flushes may be under way at once, each with tasks of its own. */
const LANES = 2;
/** What one flush takes at the most, before the item that passes the bound. */
const FLUSH_EVENTS_MAX = 8_192;
const FLUSH_BYTES_MAX = 4 * 1024 * 1024;
/** How long a start is held while the database is away, before its caller is told so. */
const CREATE_PATIENCE_MS = 3_000;

interface Batch {
  creates: Create[];
  appends: { writer: TapeWriter; taken: TakenEvents }[];
  /** It was sent before, and its answer was lost: this process may have written it. */
  isDoubtful?: boolean;
}

/**
 * The group commit: while a flush is under way, what arrives waits and becomes the next one; an idle journal flushes at
 * once. Whoever is told that something is written is told after its commit, and followers are told then too.
 *
 * A flush whose answer was lost is sent again: what it had written is recognised and acknowledged, never written twice.
 */
export class Journal {
  readonly #db: Kysely<Database>;
  readonly #feed: Feed;
  readonly #watch: EngineWatch;
  readonly #log: Logger;
  readonly #creates = new CreateQueue();
  readonly #writers = new Set<TapeWriter>();
  readonly #busy = new Set<TapeWriter>();
  readonly #stopped = new AbortController();
  #lanes = 0;
  #scheduled = false;
  #idle: PromiseWithResolvers<void> | null = null;

  constructor({
    db,
    feed,
    watch = UNWATCHED,
    log,
  }: {
    db: Kysely<Database>;
    feed: Feed;
    watch?: EngineWatch;
    log: Logger;
  }) {
    this.#db = db;
    this.#feed = feed;
    this.#watch = watch;
    this.#log = log;
  }

  /**
   * Opens the tape of an attempt for writing, once an attempt.
   *
   * @param appended how many events the attempt has on the tape already
   * @param onLost is told when it turns out that the task is not the attempt's any more
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
   * @throws RequestIdReused, Overloaded, and StoreUnavailable when the database stayed away; a task whose start was
   *   answered so may exist all the same, and a retry with its request_id finds it
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
    if (this.#lanes > 0 || !this.#creates.isEmpty || this.#writers.size > 0) {
      this.#idle ??= Promise.withResolvers();
      await this.#idle.promise;
    }
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
    while (this.#lanes < LANES) {
      const batch = this.#takeBatch();
      if (batch === null) break;
      this.#lanes++;
      const taken = batch.appends.map(({ writer }) => writer);
      void this.#flush(batch).finally(() => {
        this.#lanes--;
        for (const writer of taken) this.#busy.delete(writer);
        this.#schedule();
      });
    }
    if (this.#lanes === 0) {
      this.#idle?.resolve();
      this.#idle = null;
    }
  }

  /** Each task at most once, and none that another lane holds. */
  #takeBatch(): Batch | null {
    const appends: Batch["appends"] = [];
    const { creates, bytes: createBytes } = this.#creates.take(LANES - this.#lanes);
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
    return creates.length + appends.length === 0 ? null : { creates, appends };
  }

  /** Sends a batch until it is settled. */
  async #flush(batch: Batch): Promise<void> {
    for (let failures = 0; batch.creates.length + batch.appends.length > 0;) {
      try {
        await this.#write(batch);
        return;
      } catch (error) {
        if (isSerializationFailure(error) && (await backoff(1, this.#stopped.signal))) continue;
        if (!(error instanceof StoreUnavailable)) return this.#flushEach(batch, error);
        if (failures++ === 0) this.#log.warn({ err: error.cause }, "the journal cannot reach the database");
        batch.isDoubtful = true;
        this.#giveUpLateCreates(batch, error);
        batch.appends = batch.appends.filter(({ writer }) => !writer.isLost);
        if (!(await backoff(failures, this.#stopped.signal))) return this.#giveUp(batch, error);
      }
    }
  }

  async #write(batch: Batch): Promise<void> {
    const sentAt = performance.now();
    const { applied, at } = await writeFlush(this.#db, {
      creates: batch.creates,
      appends: batch.appends.map(({ writer: { fence }, taken: { appended, events, end } }) => ({
        fence,
        appended,
        events,
        end,
      })),
    });
    const flushed = { tasks: applied.length, events: 0, bytes: 0, durationMs: performance.now() - sentAt };
    const firstSeqs = new Map(applied.map(({ taskId, firstSeq }) => [taskId, firstSeq]));
    const missed: Batch = { creates: [], appends: [] };
    for (const create of batch.creates) {
      const { task, events, done } = create;
      if (!firstSeqs.has(task.taskId)) {
        missed.creates.push(create);
        continue;
      }
      flushed.events += events.length;
      for (const event of events) flushed.bytes += event.body.length;
      if (events.length > 0)
        this.#feed.publish({ taskId: task.taskId, firstSeq: 1n, events, time: at, status: "running" });
      done.resolve({ created: true, at });
    }
    for (const append of batch.appends) {
      const { writer, taken } = append;
      const { taskId } = writer.fence;
      const firstSeq = firstSeqs.get(taskId);
      if (firstSeq === undefined) {
        missed.appends.push(append);
        continue;
      }
      flushed.events += taken.events.length;
      flushed.bytes += taken.bytes;
      this.#feed.publish({ taskId, firstSeq, events: taken.events, time: at, status: taken.end ?? "running" });
      writer.commit(taken.events.length, taken.end === null ? null : at);
    }
    this.#watch.flushed(flushed);
    // The rest settles by itself: only it is sent again, should reading it fail.
    batch.creates = missed.creates;
    batch.appends = missed.appends;
    await Promise.all([this.#resolveAppends(batch), ...missed.creates.map((create) => this.#resolveCreate(create))]);
  }

  /**
   * Why an append was not applied: it had been before, and its answer was lost; or the first of it had, by a process
   * that the same attempt was connected to before; or the fence does not hold any more.
   */
  async #resolveAppends({ appends, isDoubtful = false }: Batch): Promise<void> {
    if (appends.length === 0) return;
    const states = await readTaskStates(
      this.#db,
      appends.map(({ writer }) => writer.fence.taskId),
    );
    for (const { writer, taken } of appends) {
      const state = states.find(({ taskId }) => taskId === writer.fence.taskId);
      if (state?.attempt === writer.fence.attempt && state.appended > taken.appended) {
        this.#feed.announce(state);
        if (isDoubtful) this.#watch.eventsWritten(Number(state.appended - taken.appended));
        writer.settle(taken, { appended: state.appended, isEnded: isTerminal(state.status), isOwn: isDoubtful });
      } else {
        writer.revoke();
      }
    }
  }

  /** Why a create was not applied: its request_id is taken, or it had been applied before and its answer was lost. */
  async #resolveCreate({ task, events, done }: Create): Promise<void> {
    const { namespace, taskId, request } = task;
    const written = (at: Date) => {
      this.#watch.eventsWritten(events.length);
      done.resolve({ created: true, at });
    };
    const { requestId } = request;
    if (requestId === null) {
      const [state] = await readTaskStates(this.#db, [taskId]);
      if (state === undefined) throw new Error(`task ${taskId} was neither created nor found`);
      return written(new Date());
    }
    const existing = await readTaskByRequest(this.#db, { namespace, requestId });
    if (existing === undefined) throw new Error(`request ${requestId} is taken, but by no task`);
    if (existing.taskId === taskId) return written(existing.createdAt);
    const differing = differencesOf(task, existing);
    if (differing.length > 0) return done.reject(new RequestIdReused(requestId, existing.taskId, differing));
    done.resolve({ created: false, task: existing });
  }

  /** Something in the batch is not to the database's liking: alone, each item harms only itself. */
  async #flushEach({ creates, appends, ...rest }: Batch, error: unknown): Promise<void> {
    if (creates.length + appends.length > 1) {
      for (const create of creates) await this.#flush({ ...rest, creates: [create], appends: [] });
      for (const append of appends) await this.#flush({ ...rest, creates: [], appends: [append] });
      return;
    }
    const taskId = creates[0]?.task.taskId ?? appends[0]?.writer.fence.taskId;
    this.#log.error({ err: error, task_id: taskId }, "the database refused a write of the journal");
    for (const { done } of creates) done.reject(error);
    for (const { writer } of appends) writer.revoke(error instanceof Error ? error : new Error(String(error)));
  }

  #giveUpLateCreates(batch: Batch, error: StoreUnavailable): void {
    const before = performance.now() - CREATE_PATIENCE_MS;
    const isLate = ({ since }: Create) => since <= before;
    const late = [...batch.creates.filter(isLate), ...this.#creates.takeLate(before)];
    batch.creates = batch.creates.filter((create) => !isLate(create));
    for (const { done } of late) done.reject(error);
  }

  #giveUp({ creates, appends }: Batch, error: StoreUnavailable): void {
    for (const { done } of creates) done.reject(error);
    for (const { writer } of appends) writer.revoke(error);
  }
}
