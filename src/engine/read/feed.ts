import type { NewEvent } from "../../domain/event.ts";
import { isTerminal } from "../../domain/task.ts";
import type { StateChange, TaskState, TaskStatus } from "../../domain/task.ts";
import { PageCache } from "./page-cache.ts";
import { isReusable } from "./page-freshness.ts";
import { RecentTape } from "./recent-tape.ts";
import { RecentTapes } from "./recent-tapes.ts";
import { Subscribers } from "./subscribers.ts";
import type { Subscriber, Subscription } from "./subscription.ts";
import type { PageQuery, TapePage } from "../api/task-engine.ts";
import { TimingWheel } from "./timing-wheel.ts";
import type { EngineGauges } from "../api/engine-observer.ts";

/** Bound of the pages that are cached for other followers at the same position, over all tapes, in bytes. */
const SHARED_PAGES_BYTES_MAX = 32 * 1024 * 1024;

/** What a commit appended to one tape, and the status in which the commit left the task. */
export interface Committed {
  taskId: string;
  /** The seq of the first of the events. */
  firstSeq: bigint;
  events: readonly NewEvent[];
  time: Date;
  status: TaskStatus;
}

/**
 * The live end of the followed tapes, from three parts: the recent events in memory (RecentTapes), the wakeup of
 * followers (Subscribers), and the pages that followers at one position share (PageCache). A follower whose cursor is
 * in a tape's ring reads memory. A follower that fell behind, or came before the first commit was published, reads the
 * store until it has caught up. Followers pull: there is no queue for each, so a slow one costs nothing. Only commits
 * are published, so no follower sees an event that is not durable.
 *
 * Only a subscriber reads memory. For a followed tape, wakeups and polls report the commits of other processes. Without
 * a subscription, nothing would correct an outdated page.
 */
export class Feed {
  readonly #tapes = new RecentTapes();
  readonly #onCommit: (state: StateChange) => void;
  readonly #wheel = new TimingWheel();
  /** Followers of many tasks, which scan for changes themselves. */
  readonly #subscribers = new Subscribers(this.#wheel);
  readonly #sharedPages = new PageCache(SHARED_PAGES_BYTES_MAX);
  /** How many pages were served from memory. */
  #pages = 0;
  /** Why this process publishes no more commits; null: it may publish more. */
  #ended: Error | null = null;

  /** @param onCommit called with every commit of this process, followed or not */
  constructor(onCommit: (state: StateChange) => void = () => {}) {
    this.#onCommit = onCommit;
  }

  /** Subscribes to a tape. Call this before the first read, so that no commit falls between the two. */
  subscribe(taskId: string, signal: AbortSignal): Subscription {
    const tape = this.#tapes.find(taskId) ?? new RecentTape(this.#wheel);
    this.#tapes.follow(taskId, tape);
    return this.#opened(
      tape.subscribers.subscribe(signal, () => {
        if (tape.subscribers.size === 0) this.#tapes.unfollow(taskId, tape);
      }),
    );
  }

  /** Subscribes to the commits of all tasks, for a follower of many tasks. */
  subscribeToAll(signal: AbortSignal): Subscription {
    return this.#opened(this.#subscribers.subscribe(signal));
  }

  /** Ends the followers: each gets the error when it has read what is stored, and waits for more. */
  end(reason: Error): void {
    this.#ended = reason;
    this.#subscribers.endAll(reason);
    for (const { subscribers } of this.#tapes.followed().values()) subscribers.endAll(reason);
  }

  /** Wakes the followers of many tasks: something was committed, here or elsewhere. */
  notifyAll(): void {
    this.#subscribers.notifyAll();
  }

  /** Whether a tape has more than one follower. Nothing of a removed tape is shared. */
  isShared(taskId: string): boolean {
    const tape = this.#tapes.findFollowed(taskId);
    return tape !== undefined && !tape.isRemoved && tape.subscribers.size > 1;
  }

  /** Whether a followed tape is known to be removed. */
  isRemoved(taskId: string): boolean {
    return this.#tapes.findFollowed(taskId)?.isRemoved ?? false;
  }

  /** Returns the followed tapes that have not ended, as far as this process knows. */
  followed(): string[] {
    return this.#followedIf((status) => status === null || !isTerminal(status));
  }

  /** Returns the followed tapes that have ended, whose followers still read them. */
  followedToEnd(): string[] {
    return this.#followedIf((status) => status !== null && isTerminal(status));
  }

  /** Returns the known state of a followed task; undefined if none is known. */
  state(taskId: string): { status: TaskStatus; lastSeq: bigint } | undefined {
    const tape = this.#tapes.findFollowed(taskId);
    if (tape === undefined || tape.status === null || tape.isRemoved) return undefined;
    return { status: tape.status, lastSeq: tape.lastSeq };
  }

  /** Publishes a commit of this process. Commits of one task may be published in another order than they were made. */
  publish({ taskId, firstSeq, events, time, status }: Committed): void {
    const lastSeq = firstSeq + BigInt(events.length) - 1n;
    this.#onCommit({ taskId, status, lastSeq });
    this.notifyAll();
    const tape = this.#tapes.find(taskId) ?? (firstSeq === 1n ? new RecentTape(this.#wheel) : undefined);
    if (tape === undefined || tape.isRemoved || lastSeq <= tape.lastSeq) return;
    this.#tapes.resize(tape.ring.append(firstSeq, events, time));
    tape.status = status;
    this.#tapes.enforceBounds(taskId, tape);
    tape.subscribers.notifyAll();
  }

  /** Publishes a commit of this process whose events followers read from the store. */
  announce({ taskId, status, lastSeq }: TaskState): void {
    this.#onCommit({ taskId, status, lastSeq });
    this.notifyAll();
    this.observe({ taskId, status, lastSeq });
  }

  /** Updates the state of a task from a page of the store, a wakeup or a poll. Ignores older states. */
  observe({ taskId, status, lastSeq }: TaskState): void {
    const tape = this.#tapes.find(taskId);
    if (tape === undefined || tape.isRemoved || lastSeq < tape.lastSeq) return;
    if (lastSeq === tape.lastSeq) {
      // The tape has not grown. A status that is already terminal must not be undone.
      tape.status ??= status;
      return;
    }
    this.#tapes.resize(tape.ring.skipTo(lastSeq));
    tape.status = status;
    tape.subscribers.notifyAll();
  }

  /** Publishes that this process has removed a task, after the commit. */
  announceRemoval({ taskId, lastSeq }: Pick<TaskState, "taskId" | "lastSeq">): void {
    this.#onCommit({ taskId, status: "removed", lastSeq });
    this.observeRemoval(taskId);
  }

  /** Drops the tape of a removed task, and wakes its followers. Their next read finds that the task is missing. */
  observeRemoval(taskId: string): void {
    this.#tapes.remove(taskId);
  }

  /**
   * Returns a page from memory; null if the store must be read. Its status, lastSeq and events are of the same commit.
   *
   * The followers that a commit wakes are at one position, and each continues at the pace of its reader. They get the
   * very same page object, so that it is encoded only once.
   *
   * @param seenSeq the last_seq that the reader has seen or must see: no older page is returned
   */
  read(query: PageQuery, seenSeq: bigint): TapePage | null {
    const tape = this.#tapes.findFollowed(query.taskId);
    if (tape === undefined || tape.status === null || tape.isRemoved || tape.lastSeq < seenSeq) return null;
    const page = tape.subscribers.size < 2 ? pageOf(tape, query) : this.#readShared(tape, query, seenSeq);
    if (page !== null) this.#pages++;
    return page;
  }

  /** Returns how many followers there are, and how many pages they were served. */
  gauges(): Pick<EngineGauges, "tapeFollowers" | "taskFollowers" | "feedPages"> {
    let tapeFollowers = 0;
    for (const { subscribers } of this.#tapes.followed().values()) tapeFollowers += subscribers.size;
    return { tapeFollowers, taskFollowers: this.#subscribers.size, feedPages: this.#pages };
  }

  #opened(subscriber: Subscriber): Subscription {
    if (this.#ended !== null) subscriber.end(this.#ended);
    return subscriber;
  }

  #followedIf(matches: (status: TaskStatus | null) => boolean): string[] {
    return [...this.#tapes.followed()]
      .filter(([, { status, isRemoved }]) => !isRemoved && matches(status))
      .map(([taskId]) => taskId);
  }

  #readShared(tape: RecentTape, query: PageQuery, seenSeq: bigint): TapePage | null {
    const shared = this.#sharedPages.find(query);
    if (shared !== undefined && isReusable(shared, seenSeq, tape)) return shared;
    const page = pageOf(tape, query);
    if (page !== null) this.#sharedPages.add(query, page);
    return page;
  }
}

function pageOf({ status, lastSeq, ring }: RecentTape, { taskId, fromSeq, limit }: PageQuery): TapePage | null {
  const events = ring.slice(fromSeq, limit);
  if (events === null) return null;
  const nextFromSeq = fromSeq + BigInt(events.length);
  return { taskId, status: status!, events, nextFromSeq, lastSeq, hasMore: nextFromSeq <= lastSeq };
}
