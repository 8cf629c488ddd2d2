import { RequestIdReused } from "../../domain/errors.ts";
import { differencesOf } from "../../domain/request-digest.ts";
import { isTerminal } from "../../domain/task.ts";
import type { FlushResult } from "../../store/tapes/journal-statement.ts";
import type { Create } from "./create-queue.ts";
import type { FlushStore } from "./flush-store.ts";
import type { Feed } from "../read/feed.ts";
import type { TakenEvents, TapeWriter } from "./tape-writer.ts";
import type { EngineObserver } from "../api/engine-observer.ts";

/** The events that a writer has handed to a flush. */
export interface PendingAppend {
  writer: TapeWriter;
  taken: TakenEvents;
}

/** The items that one flush writes. */
export interface Batch {
  readonly creates: readonly Create[];
  readonly appends: readonly PendingAppend[];
  /** Whether the batch was sent before and the answer was lost. This process may have written the batch already. */
  readonly isDoubtful: boolean;
}

export const EMPTY_BATCH: Batch = { creates: [], appends: [], isDoubtful: false };

export function sizeOf({ creates, appends }: Batch): number {
  return creates.length + appends.length;
}

/** Splits a batch into batches of one item. */
export function separate({ creates, appends, isDoubtful }: Batch): Batch[] {
  return [
    ...creates.map((create): Batch => ({ creates: [create], appends: [], isDoubtful })),
    ...appends.map((append): Batch => ({ creates: [], appends: [append], isDoubtful })),
  ];
}

/** The items that a flush has not settled, and the error. */
export interface FlushFailure {
  remaining: Batch;
  error: unknown;
}

/** Runs a statement: at once, or behind a concurrency limit. */
export type InTurn = <Result>(work: () => Promise<Result>) => Promise<Result>;

/** Writes batches, and settles each item by the stored state. */
export class BatchWriter {
  readonly #store: FlushStore;
  readonly #feed: Feed;
  readonly #observer: EngineObserver;

  constructor({ store, feed, observer }: { store: FlushStore; feed: Feed; observer: EngineObserver }) {
    this.#store = store;
    this.#feed = feed;
    this.#observer = observer;
  }

  /**
   * Writes a batch in one commit, and settles its items. For an item that the commit has not applied, the stored state
   * decides.
   *
   * @returns null if every item is settled; else the unsettled items, for another write
   */
  async flush(batch: Batch, inTurn: InTurn): Promise<FlushFailure | null> {
    let remaining = batch;
    try {
      if (batch.isDoubtful) remaining = await inTurn(() => this.#settleRemovedCreates(batch));
      const written = remaining;
      const missed = await inTurn(() => this.#write(written));
      remaining = missed;
      await inTurn(() => this.#settleMissedAppends(missed));
      remaining = { ...missed, appends: [] };
      const settled = await Promise.allSettled(
        missed.creates.map((create) => inTurn(() => this.#settleMissedCreate(create))),
      );
      const failure = settled.find((outcome) => outcome.status === "rejected");
      if (failure === undefined) return null;
      // A create that is settled must not be reported again.
      remaining = { ...remaining, creates: missed.creates.filter((_, index) => settled[index]!.status === "rejected") };
      throw failure.reason;
    } catch (error) {
      return { remaining, error };
    }
  }

  /**
   * Settles the creates of tasks that an earlier write of the batch has created, and that a caller has removed since.
   * Another write would create them again.
   *
   * @returns the other items
   */
  async #settleRemovedCreates(batch: Batch): Promise<Batch> {
    const { creates } = batch;
    if (creates.length === 0) return batch;
    const removed = await this.#store.findRemoved(creates.map(({ task }) => task.taskId));
    for (const { task, done } of creates) if (removed.has(task.taskId)) done.resolve({ created: true, at: new Date() });
    return { ...batch, creates: creates.filter(({ task }) => !removed.has(task.taskId)) };
  }

  /** Writes a batch, and settles the items that the commit has applied. @returns the other items */
  async #write(batch: Batch): Promise<Batch> {
    const sentAt = performance.now();
    const result = await this.#store.writeFlush({
      creates: batch.creates,
      appends: batch.appends.map(({ writer: { fence }, taken: { appended, events, end } }) => ({
        fence,
        appended,
        events,
        end,
      })),
    });
    return this.#settleApplied(batch, result, performance.now() - sentAt);
  }

  #settleApplied(batch: Batch, { applied, at }: FlushResult, durationMs: number): Batch {
    const flushed = { tasks: applied.length, events: 0, bytes: 0, durationMs };
    const firstSeqs = new Map(applied.map(({ taskId, firstSeq }) => [taskId, firstSeq]));
    const missedCreates: Create[] = [];
    const missedAppends: PendingAppend[] = [];
    for (const create of batch.creates) {
      const { task, events, done } = create;
      if (!firstSeqs.has(task.taskId)) {
        missedCreates.push(create);
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
        missedAppends.push(append);
        continue;
      }
      flushed.events += taken.events.length;
      flushed.bytes += taken.bytes;
      this.#feed.publish({ taskId, firstSeq, events: taken.events, time: at, status: taken.end ?? "running" });
      writer.commit(taken.events.length, taken.end === null ? null : at);
    }
    this.#observer.flushed(flushed);
    return { creates: missedCreates, appends: missedAppends, isDoubtful: batch.isDoubtful };
  }

  /**
   * Settles appends that a write did not apply. There are three reasons why an append is not applied:
   * - an earlier write has applied it, and the answer was lost
   * - the server that the attempt was connected to before has written its first events
   * - its fence no longer holds
   */
  async #settleMissedAppends({ appends, isDoubtful }: Batch): Promise<void> {
    if (appends.length === 0) return;
    const states = await this.#store.readTaskStates(appends.map(({ writer }) => writer.fence.taskId));
    for (const { writer, taken } of appends) {
      const state = states.find(({ taskId }) => taskId === writer.fence.taskId);
      if (state?.attempt === writer.fence.attempt && state.appended > taken.appended) {
        this.#feed.announce(state);
        if (isDoubtful) this.#observer.eventsWritten(Number(state.appended - taken.appended));
        writer.settle({ appended: state.appended, isEnded: isTerminal(state.status), isOwn: isDoubtful });
      } else {
        writer.revoke();
      }
    }
  }

  /** Settles a create that a write did not apply: its request_id is taken, or an earlier write has applied it. */
  async #settleMissedCreate({ task, events, done }: Create): Promise<void> {
    const { namespace, taskId, request } = task;
    const written = (at: Date) => {
      this.#observer.eventsWritten(events.length);
      done.resolve({ created: true, at });
    };
    const { requestId } = request;
    if (requestId === null) {
      const [state] = await this.#store.readTaskStates([taskId]);
      if (state === undefined) throw new Error(`task ${taskId} was neither created nor found`);
      return written(new Date());
    }
    const existing = await this.#store.readTaskByRequest({ namespace, requestId });
    if (existing === undefined) throw new Error(`request_id ${requestId} is taken, but no task has it`);
    if (existing.taskId === taskId) return written(existing.createdAt);
    const differing = differencesOf(task, existing);
    if (differing.length > 0) return done.reject(new RequestIdReused(requestId, existing.taskId, differing));
    done.resolve({ created: false, task: existing });
  }
}
