import type { Kysely } from "kysely";
import type { Logger } from "pino";
import { claimTasks } from "../store/claim-statement.ts";
import type { Database } from "../store/schema.ts";
import type { Executor } from "./executor.ts";
import type { Feed } from "./feed.ts";
import { Loop } from "./loop.ts";
import type { EngineWatch } from "./watch.ts";

const CLAIM_MAX = 100;
export const POLL_MS = 1_000;

/**
 * Brings waiting tasks into free slots, oldest first. It looks when a task was stored as pending, when a slot has
 * become free while tasks were known to wait, and every second, for what others stored or a delay let go.
 */
export class Claimer {
  readonly #db: Kysely<Database>;
  readonly #claim: { namespace: string; kinds: readonly string[]; suspectedFrom: number };
  readonly #lease: () => string;
  readonly #isFresh: () => boolean;
  readonly #executor: Executor;
  readonly #feed: Feed;
  readonly #watch: EngineWatch;
  readonly #loop: Loop;
  /** More may wait than the last look has found room for. */
  #hasBacklog = true;

  constructor(parts: {
    db: Kysely<Database>;
    namespace: string;
    kinds: readonly string[];
    /** After how many crashes in a row a task is suspected of taking its process down. */
    suspectedFrom: number;
    lease: () => string;
    /** Whether this process's own session was renewed in time. */
    isFresh: () => boolean;
    executor: Executor;
    feed: Feed;
    watch: EngineWatch;
    log: Logger;
  }) {
    this.#db = parts.db;
    this.#claim = { namespace: parts.namespace, kinds: parts.kinds, suspectedFrom: parts.suspectedFrom };
    this.#lease = parts.lease;
    this.#isFresh = parts.isFresh;
    this.#executor = parts.executor;
    this.#feed = parts.feed;
    this.#watch = parts.watch;
    this.#loop = new Loop({ name: "claimer", everyMs: POLL_MS, log: parts.log, turn: (signal) => this.#fill(signal) });
  }

  /** Whether older tasks may be waiting for a slot: a new one must not pass them. */
  get hasBacklog(): boolean {
    return this.#hasBacklog;
  }

  start(): void {
    this.#loop.start();
    this.#loop.kick();
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  /** A task was stored that waits. */
  onWaiting(): void {
    this.#hasBacklog = true;
    this.#loop.kick();
  }

  /** @param isTurnOver whether a task that held an exclusive key has left: the next in turn may be waiting */
  onFreeSlot({ isTurnOver }: { isTurnOver: boolean }): void {
    if (isTurnOver) this.#hasBacklog = true;
    if (this.#hasBacklog) this.#loop.kick();
  }

  async #fill(signal: AbortSignal): Promise<void> {
    // Under a session that has run out, or is not stored yet, a task would at once be taken for lost.
    while (!signal.aborted && this.#isFresh()) {
      const slots = this.#executor.reserve(CLAIM_MAX);
      if (slots === 0) return;
      // Set before the look, so that what is stored meanwhile asks for another.
      this.#hasBacklog = false;
      try {
        const taken = await this.#take(slots);
        if (taken < slots) return;
        this.#hasBacklog = true;
      } catch (error) {
        this.#hasBacklog = true;
        throw error;
      } finally {
        this.#executor.release(slots);
      }
    }
  }

  async #take(limit: number): Promise<number> {
    const lease = this.#lease();
    const { tasks, at } = await claimTasks(this.#db, { ...this.#claim, lease, limit });
    this.#watch.eventsWritten(tasks.length);
    for (const task of tasks) {
      this.#feed.announce(task);
      this.#executor.run(task, { lease, at });
    }
    return tasks.length;
  }
}
