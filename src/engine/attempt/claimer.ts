import type { Logger } from "pino";
import type { Claim, Claimed } from "../../store/tasks/claim-statement.ts";
import type { Executor } from "./executor.ts";
import type { Feed } from "../read/feed.ts";
import { Loop } from "../../async/loop.ts";
import type { EngineObserver } from "../api/engine-metrics.ts";

const CLAIM_MAX = 100;
export const POLL_MS = 1_000;
/** How many tasks with exclusive keys one claim reads of each kind at the most, where others are in its way. */
const WINDOW_MAX = 1_000;
/** How many keys one claim checks at the most, and how many may wait for it. Those beyond are left to the sweeper. */
const CHECKED_KEYS_MAX = 1_000;
const WAITING_KEYS_MAX = 20_000;

/**
 * Brings waiting tasks into free slots: in turn of each kind, and of a kind the oldest first. It claims when a task was
 * stored as pending, when a slot or an exclusive key has become free while tasks were known to wait, and every second,
 * for what others stored or a delay let go.
 */
export class Claimer {
  readonly #claim: (claim: Claim) => Promise<Claimed>;
  readonly #namespace: string;
  /** Those first that were served least lately, so that one free slot after the other goes round among the kinds. */
  #kinds: readonly string[];
  readonly #suspectedFrom: number;
  readonly #lease: () => string;
  readonly #isFresh: () => boolean;
  readonly #executor: Executor;
  readonly #feed: Feed;
  readonly #observer: EngineObserver;
  readonly #loop: Loop;
  /** More may wait than the last claim has found room for. */
  #hasBacklog = true;
  /** Something may have been stored since the last claim. */
  #hasChance = false;
  /** Exclusive keys that the next claim checks. */
  readonly #keys = new Set<string>();
  /** How far the next claim reads, where the last one has found tasks of held keys in its way; else undefined. */
  #window: number | undefined;

  constructor(parts: {
    /** @throws StoreUnavailable */
    claim: (claim: Claim) => Promise<Claimed>;
    namespace: string;
    kinds: readonly string[];
    /** After how many crashes in a row a task is suspected of taking its process down. */
    suspectedFrom: number;
    lease: () => string;
    /** Whether this process's own session was renewed in time. */
    isFresh: () => boolean;
    executor: Executor;
    feed: Feed;
    observer: EngineObserver;
    log: Logger;
  }) {
    this.#claim = parts.claim;
    this.#namespace = parts.namespace;
    this.#kinds = parts.kinds;
    this.#suspectedFrom = parts.suspectedFrom;
    this.#lease = parts.lease;
    this.#isFresh = parts.isFresh;
    this.#executor = parts.executor;
    this.#feed = parts.feed;
    this.#observer = parts.observer;
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

  /** A task may have been stored that waits, of whatever kind: nothing is known that a start would pass. */
  onChance(): void {
    this.#hasChance = true;
    this.#loop.kick();
  }

  onFreeSlot(): void {
    if (this.#hasBacklog) this.#loop.kick();
  }

  /** An exclusive key may have become free, or a task may wait for a key that is free by now. */
  onFreeKey(key: string): void {
    if (this.#keys.size < WAITING_KEYS_MAX) this.#keys.add(key);
    this.#hasBacklog = true;
    this.#loop.kick();
  }

  async #fill(signal: AbortSignal): Promise<void> {
    // Under a session that has run out, or is not stored yet, a task would at once be taken for lost.
    while (!signal.aborted && this.#isFresh()) {
      // A claim that may find nothing leaves room for starts, which are to run at once where nothing is known to wait.
      const slots = this.#executor.reserve(
        this.#hasBacklog ? CLAIM_MAX : Math.min(CLAIM_MAX, Math.ceil(this.#executor.freeSlots / 2)),
      );
      const keys = this.#takeKeys();
      if (slots === 0 && keys.length === 0) {
        if (this.#hasChance) this.#hasBacklog = true; // To be looked at with the next free slot.
        return;
      }
      this.#hasChance = false;
      // Set before the claim, so that what is stored meanwhile asks for another.
      this.#hasBacklog = false;
      try {
        const { tasks, hasMore, blockedKeys } = await this.#take(slots, keys);
        if (hasMore) this.#hasBacklog = true;
        for (const key of blockedKeys) this.#keys.add(key);
        const isBlocked = hasMore && tasks.length < slots;
        this.#window = isBlocked ? Math.min(WINDOW_MAX, 4 * (this.#window ?? slots + 1)) : undefined;
        // Nothing changed: what is there is being taken by others, or locked. The next kick or poll comes back to it.
        const hasMoved = tasks.length + blockedKeys.length > 0;
        if (this.#keys.size === 0 && !(hasMore && hasMoved)) return;
      } catch (error) {
        this.#hasBacklog = true;
        for (const key of keys) this.#keys.add(key);
        throw error;
      } finally {
        this.#executor.release(slots);
      }
    }
  }

  #takeKeys(): string[] {
    const keys = [...this.#keys].slice(0, CHECKED_KEYS_MAX);
    for (const key of keys) this.#keys.delete(key);
    return keys;
  }

  async #take(limit: number, keys: readonly string[]): Promise<Claimed> {
    const lease = this.#lease();
    const window = this.#window;
    const suspectedFrom = this.#suspectedFrom;
    const query = { namespace: this.#namespace, kinds: this.#kinds, suspectedFrom, lease, limit, keys };
    const claimed = await this.#claim(window === undefined ? query : { ...query, window });
    this.#observer.eventsWritten(claimed.tasks.length);
    for (const task of claimed.tasks) {
      this.#feed.announce(task);
      this.#executor.run(task, { lease, at: claimed.at });
    }
    this.#servedLast(claimed.tasks.map(({ kind }) => kind));
    return claimed;
  }

  /** Puts the kinds that were served behind those that were not, and those that were served most last of all. */
  #servedLast(served: readonly string[]): void {
    if (this.#kinds.length === 1 || served.length === 0) return;
    const counts = new Map<string, number>();
    for (const kind of served) counts.set(kind, (counts.get(kind) ?? 0) + 1);
    this.#kinds = this.#kinds.toSorted((one, other) => (counts.get(one) ?? 0) - (counts.get(other) ?? 0));
  }
}
