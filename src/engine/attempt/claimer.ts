import type { Logger } from "pino";
import type { Claim, Claimed } from "../../store/tasks/claim.ts";
import type { Executor } from "./executor.ts";
import type { Feed } from "../read/feed.ts";
import { Loop } from "../../async/loop.ts";
import { ScanPace } from "../../async/scan-pace.ts";
import type { EngineObserver } from "../api/engine-observer.ts";

const CLAIM_MAX = 100;
export const POLL_MS = 1_000;
/** How many tasks with exclusive keys one claim reads per kind at most, to get past tasks whose keys are held. */
const WINDOW_MAX = 1_000;
/** How many keys one claim checks at most, and how many keys may wait for a claim. The sweeper handles further keys. */
const CHECKED_KEYS_MAX = 1_000;
const WAITING_KEYS_MAX = 20_000;

/**
 * Claims waiting tasks for free slots: from each kind in turn, and the oldest first within a kind. Claims when:
 * - a task was stored as pending
 * - a slot or an exclusive key became free while tasks were known to wait
 * - every second, for tasks that other processes stored and for tasks whose delay has passed, unless the namespace is
 *   idle
 */
export class Claimer {
  readonly #claim: (claim: Claim) => Promise<Claimed>;
  readonly #namespace: string;
  /** Least recently served kinds first, so single free slots go to each kind in turn. */
  #kinds: readonly string[];
  readonly #suspectedFrom: number;
  readonly #lease: () => string;
  readonly #isFresh: () => boolean;
  readonly #executor: Executor;
  readonly #room: () => number;
  readonly #feed: Feed;
  readonly #observer: EngineObserver;
  readonly #loop: Loop;
  /** Whether more tasks may wait than the last claim had slots for. */
  #hasBacklog = true;
  /** Whether a task may have been stored since the last claim. */
  #mayHaveTask = false;
  /** Exclusive keys for the next claim to check. */
  readonly #keys = new Set<string>();
  /** How many tasks the next claim reads per kind, if tasks of held keys blocked the last claim; else undefined. */
  #window: number | undefined;
  /** Of claims that read all tasks, from the oldest on. If they take long, others in between read only later tasks. */
  readonly #pace: ScanPace;
  #dueFrom: ReadonlyMap<string, Date> = new Map();

  constructor(parts: {
    /** @throws StoreUnavailable */
    claim: (claim: Claim) => Promise<Claimed>;
    namespace: string;
    kinds: readonly string[];
    /** The number of crashes in a row after which a task is suspected of crashing its process. */
    suspectedFrom: number;
    lease: () => string;
    /** Whether the session was renewed in time. */
    isFresh: () => boolean;
    executor: Executor;
    /** How many more tasks may run in this process, by the limits of the namespace. */
    room: () => number;
    feed: Feed;
    observer: EngineObserver;
    log: Logger;
    /** Whether the last check has found no task that waits. */
    isIdle?: () => boolean;
    /** Of claims that read all tasks. */
    pace?: ScanPace;
  }) {
    this.#claim = parts.claim;
    this.#namespace = parts.namespace;
    this.#kinds = parts.kinds;
    this.#suspectedFrom = parts.suspectedFrom;
    this.#lease = parts.lease;
    this.#isFresh = parts.isFresh;
    this.#executor = parts.executor;
    this.#room = parts.room;
    this.#feed = parts.feed;
    this.#observer = parts.observer;
    this.#pace = parts.pace ?? new ScanPace();
    const { log } = parts;
    // A limit of running tasks is counted with the polls.
    const isSettled = () => !this.#hasBacklog && this.#keys.size === 0 && this.#room() === Infinity;
    const isIdle = () => isSettled() && (parts.isIdle?.() ?? false);
    const turn = (signal: AbortSignal) => this.#fill(signal);
    this.#loop = new Loop({ name: "claimer", everyMs: POLL_MS, log, isIdle, turn });
  }

  /** Whether older tasks may wait for a slot. A new task must not overtake them. */
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

  /** Called when a task was stored as pending. */
  onWaiting(): void {
    this.#hasBacklog = true;
    this.#loop.kick();
  }

  /** Called when a task of any kind may have been stored as pending. New starts may still run at once. */
  onPossibleTask(): void {
    this.#mayHaveTask = true;
    this.#loop.kick();
  }

  /** Called when a slot is free. @returns whether tasks may wait for it */
  onFreeSlot(): boolean {
    if (this.#hasBacklog) this.#loop.kick();
    return this.#hasBacklog;
  }

  /** Called when an exclusive key may have become free, or when a task may wait for a key that is now free. */
  onFreeKey(key: string): void {
    if (this.#keys.size < WAITING_KEYS_MAX) this.#keys.add(key);
    this.#hasBacklog = true;
    this.#loop.kick();
  }

  async #fill(signal: AbortSignal): Promise<void> {
    // If the session has expired or is not stored yet, a sweeper would immediately treat the claimed tasks as lost.
    while (!signal.aborted && this.#isFresh()) {
      // Without known backlog, a claim may find nothing. It leaves half of the slots for starts, which can run at once.
      const slotsMax = this.#hasBacklog ? CLAIM_MAX : Math.min(CLAIM_MAX, Math.ceil(this.#executor.freeSlots / 2));
      const room = this.#room();
      const slots = this.#executor.reserve(Math.min(slotsMax, room));
      const keys = this.#takeKeys();
      if (slots === 0) {
        if (this.#mayHaveTask) this.#hasBacklog = true; // The next free slot triggers a claim.
        if (this.#hasBacklog && room > 0) this.#executor.awaitSlot();
        if (keys.length === 0) return;
      }
      this.#mayHaveTask = false;
      // Reset before the claim, because a task that is stored during the claim needs another claim.
      this.#hasBacklog = false;
      try {
        const { tasks, hasMore, blockedKeys } = await this.#take(slots, keys, signal);
        if (hasMore) this.#hasBacklog = true;
        for (const key of blockedKeys) this.#keys.add(key);
        const isBlocked = hasMore && tasks.length < slots;
        this.#window = isBlocked ? Math.min(WINDOW_MAX, 4 * (this.#window ?? slots + 1)) : undefined;
        // If nothing changed, the waiting tasks are locked or being claimed elsewhere. The next kick or poll retries.
        const hasChanged = tasks.length + blockedKeys.length > 0;
        if (this.#keys.size === 0 && !(hasMore && hasChanged)) return;
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

  async #take(limit: number, keys: readonly string[], signal: AbortSignal): Promise<Claimed> {
    const lease = this.#lease();
    const window = this.#window;
    const suspectedFrom = this.#suspectedFrom;
    const query = { namespace: this.#namespace, kinds: this.#kinds, suspectedFrom, lease, limit, keys, signal };
    const send = (dueFrom: ReadonlyMap<string, Date> | null) =>
      this.#claim({ ...query, dueFrom, ...(window === undefined ? {} : { window }) });
    const claimed = await (this.#pace.isDue ? this.#pace.run(() => send(null)) : send(this.#dueFrom));
    this.#dueFrom = claimed.dueFrom;
    this.#observer.eventsWritten(claimed.tasks.length);
    for (const task of claimed.tasks) {
      this.#feed.announce(task);
      this.#executor.run(task, { lease, at: claimed.at });
    }
    this.#moveServedLast(claimed.tasks.map(({ kind }) => kind));
    return claimed;
  }

  /** Moves the served kinds behind the others, and the kinds with the most tasks to the end. */
  #moveServedLast(served: readonly string[]): void {
    if (this.#kinds.length === 1 || served.length === 0) return;
    const counts = new Map<string, number>();
    for (const kind of served) counts.set(kind, (counts.get(kind) ?? 0) + 1);
    this.#kinds = this.#kinds.toSorted((one, other) => (counts.get(one) ?? 0) - (counts.get(other) ?? 0));
  }
}
