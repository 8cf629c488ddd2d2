import { bytesOf } from "../../domain/event.ts";
import type { NewEvent, TapeEvent } from "../../domain/event.ts";
import { PAGE_BYTES_MAX } from "../../domain/limits.ts";
import { isTerminal } from "../../domain/task.ts";
import type { TaskState, TaskStatus } from "../../domain/task.ts";
import { PageCache } from "./page-cache.ts";
import { isReusable } from "./page-freshness.ts";
import { Subscriber } from "./subscription.ts";
import type { Subscription } from "./subscription.ts";
import type { PageQuery, TapePage } from "../api/task-engine.ts";
import { TimingWheel } from "./timing-wheel.ts";
import type { EngineGauges } from "../api/engine-metrics.ts";

/** How many committed events of one followed tape are kept at the most, and how many bytes of them. */
const RING_EVENTS_MAX = 4_096;
const RING_BYTES_MAX = 2 * 1024 * 1024;
/** What the pages take that are kept for others who stand where their reader stood, whatever tapes they are of. */
const GIVEN_BYTES_MAX = 32 * 1024 * 1024;
/** What all rings together keep; past it the ring that was quiet longest is let go. */
const FEED_BYTES_MAX = 128 * 1024 * 1024;

/** How many tapes are kept from their start on for the followers who are about to come, and how much of each. */
const UNFOLLOWED_TAPES_MAX = 1_024;
const UNFOLLOWED_BYTES_MAX = 32 * 1024;

/** What a commit put on one tape, and the state it left the task in. */
export interface Committed {
  taskId: string;
  /** The seq of the first of the events. */
  firstSeq: bigint;
  events: readonly NewEvent[];
  time: Date;
  status: TaskStatus;
}

/** A tape: what is known of it, its last events in order, and who waits. */
interface Tape {
  /** null until a commit or a read has told. */
  status: TaskStatus | null;
  lastSeq: bigint;
  /** The events up to lastSeq without a gap; empty where they were let go. */
  ring: TapeEvent[];
  ringBytes: number;
  subscribers: Set<Subscriber>;
}

/**
 * The live end of the tapes that somebody follows. A follower whose cursor is in a tape's ring reads memory; one that
 * fell behind, or came before the first commit was seen, reads the store until it has caught up. Followers pull: there
 * is no queue for each, so a slow one costs nothing. Only commits are published, so nobody sees what is not durable.
 *
 * A tape that begins here is kept for a while though nobody follows it yet: most who start a task follow it next, and a
 * short one has ended by then. Only who subscribes is given what was kept. What others commit to a tape reaches its
 * followers, by a wakeup or a poll; nobody would correct what was kept for a reader who does not wait.
 */
export class Feed {
  readonly #tapes = new Map<string, Tape>();
  /** Those of the tapes that nobody has followed yet, the oldest first. */
  readonly #unfollowed = new Map<string, Tape>();
  readonly #onCommit: (state: TaskState) => void;
  readonly #wheel = new TimingWheel();
  /** Those who follow many tasks, and look for themselves at what has changed. */
  readonly #onlookers = new Set<Subscriber>();
  readonly #given = new PageCache(GIVEN_BYTES_MAX);
  #bytes = 0;
  /** How many pages it has given. */
  #pages = 0;

  /** @param onCommit is told of every commit of this process, followed or not */
  constructor(onCommit: (state: TaskState) => void = () => {}) {
    this.#onCommit = onCommit;
  }

  /** Subscribe before the first read, and nothing falls between the two. */
  subscribe(taskId: string, signal: AbortSignal): Subscription {
    const tape = this.#tapes.get(taskId) ?? this.#unfollowed.get(taskId) ?? newTape();
    this.#unfollowed.delete(taskId);
    this.#tapes.set(taskId, tape);
    const onDispose = () => {
      if (tape.subscribers.size > 0 || this.#tapes.get(taskId) !== tape) return;
      this.#dropRing(tape);
      this.#tapes.delete(taskId);
    };
    return new Subscriber({ others: tape.subscribers, signal, wheel: this.#wheel, onDispose });
  }

  /** For who follows many tasks: is woken by every commit, whatever the task. */
  subscribeToAll(signal: AbortSignal): Subscription {
    return new Subscriber({ others: this.#onlookers, signal, wheel: this.#wheel, onDispose() {} });
  }

  /** Something was committed, here or elsewhere. */
  stir(): void {
    for (const onlooker of this.#onlookers) onlooker.wake();
  }

  /** Whether more than one follows a tape. */
  isShared(taskId: string): boolean {
    return (this.#tapes.get(taskId)?.subscribers.size ?? 0) > 1;
  }

  /** The tapes that somebody follows and that have not ended, as far as is known here. */
  followed(): string[] {
    return [...this.#tapes]
      .filter(([, { status }]) => status === null || !isTerminal(status))
      .map(([taskId]) => taskId);
  }

  /** What is known of a followed task; undefined where nothing is. */
  state(taskId: string): { status: TaskStatus; lastSeq: bigint } | undefined {
    const tape = this.#tapes.get(taskId);
    return tape === undefined || tape.status === null ? undefined : { status: tape.status, lastSeq: tape.lastSeq };
  }

  /** Takes what was committed by this process. Commits of one task may be published in another order than they were made. */
  publish({ taskId, firstSeq, events, time, status }: Committed): void {
    const lastSeq = firstSeq + BigInt(events.length) - 1n;
    this.#onCommit({ taskId, status, lastSeq });
    this.stir();
    const tape = this.#tapes.get(taskId) ?? this.#unfollowed.get(taskId) ?? (firstSeq === 1n ? newTape() : undefined);
    if (tape === undefined || lastSeq <= tape.lastSeq) return;
    if (firstSeq !== tape.lastSeq + 1n) this.#dropRing(tape);
    for (let index = 0; index < events.length; index++) {
      const event = events[index]!;
      tape.ring.push({ seq: firstSeq + BigInt(index), time, type: event.type, body: event.body });
      tape.ringBytes += bytesOf(event);
      this.#bytes += bytesOf(event);
    }
    tape.lastSeq = lastSeq;
    tape.status = status;
    if (tape.subscribers.size > 0) this.#bound(taskId, tape);
    else this.#keepUnfollowed(taskId, tape);
    wake(tape);
  }

  /** Takes a commit of this process whose events followers are to read from the store. */
  announce({ taskId, status, lastSeq }: TaskState): void {
    this.#onCommit({ taskId, status, lastSeq });
    this.stir();
    this.observe({ taskId, status, lastSeq });
  }

  /** Takes what was learnt of a task elsewhere: from a page of the store, or from a poll. Older knowledge is ignored. */
  observe({ taskId, status, lastSeq }: TaskState): void {
    const tape = this.#tapes.get(taskId) ?? this.#unfollowed.get(taskId);
    if (tape === undefined || lastSeq < tape.lastSeq) return;
    if (lastSeq === tape.lastSeq) {
      // The same tape: a status that is already terminal is never taken back.
      tape.status ??= status;
      return;
    }
    this.#dropRing(tape);
    tape.lastSeq = lastSeq;
    tape.status = status;
    wake(tape);
  }

  /**
   * A page from memory; null where the store has to be read. Status and last_seq are of the same commit as its events.
   *
   * The followers that a commit wakes stand at one position, and read on from there as their readers do: they are given
   * the very same pages, so that whoever encodes one may do so once for all.
   *
   * @param seenSeq the last_seq that the reader has been told of, or is to be: nothing older is given
   */
  read(query: PageQuery, seenSeq: bigint): TapePage | null {
    const tape = this.#tapes.get(query.taskId);
    if (tape === undefined || tape.status === null || tape.lastSeq < seenSeq) return null;
    const page = tape.subscribers.size < 2 ? this.#cut(tape, query) : this.#cutShared(tape, query, seenSeq);
    if (page !== null) this.#pages++;
    return page;
  }

  /** How many follow, and how many pages they were given. */
  gauges(): Pick<EngineGauges, "tapeFollowers" | "taskFollowers" | "feedPages"> {
    let tapeFollowers = 0;
    for (const { subscribers } of this.#tapes.values()) tapeFollowers += subscribers.size;
    return { tapeFollowers, taskFollowers: this.#onlookers.size, feedPages: this.#pages };
  }

  #cutShared(tape: Tape, query: PageQuery, seenSeq: bigint): TapePage | null {
    const given = this.#given.find(query);
    if (given !== undefined && isReusable(given, seenSeq, tape)) return given;
    const page = this.#cut(tape, query);
    if (page !== null) this.#given.add(query, page);
    return page;
  }

  #cut({ status, lastSeq, ring }: Tape, { taskId, fromSeq, limit }: PageQuery): TapePage | null {
    if (fromSeq > lastSeq)
      return { taskId, status: status!, events: [], nextFromSeq: fromSeq, lastSeq, hasMore: false };
    const start = ring.length - 1 - Number(lastSeq - fromSeq);
    if (start < 0) return null;
    let end = start;
    for (let bytes = 0; end < ring.length && end - start < limit && bytes < PAGE_BYTES_MAX; end++) {
      bytes += ring[end]!.body.length;
    }
    const events = ring.slice(start, end);
    const nextFromSeq = fromSeq + BigInt(events.length);
    return { taskId, status: status!, events, nextFromSeq, lastSeq, hasMore: nextFromSeq <= lastSeq };
  }

  #keepUnfollowed(taskId: string, tape: Tape): void {
    this.#unfollowed.set(taskId, tape);
    if (tape.ringBytes > UNFOLLOWED_BYTES_MAX) this.#forgetUnfollowed(taskId, tape);
    else if (this.#unfollowed.size > UNFOLLOWED_TAPES_MAX) {
      const [oldest] = this.#unfollowed;
      this.#forgetUnfollowed(...oldest!);
    }
  }

  #forgetUnfollowed(taskId: string, tape: Tape): void {
    this.#dropRing(tape);
    this.#unfollowed.delete(taskId);
  }

  #bound(taskId: string, tape: Tape): void {
    if (tape.ring.length > 2 * RING_EVENTS_MAX || tape.ringBytes > 2 * RING_BYTES_MAX) {
      let keep = tape.ring.length;
      let bytes = 0;
      for (; keep > 0 && tape.ring.length - keep < RING_EVENTS_MAX && bytes < RING_BYTES_MAX; keep--) {
        bytes += bytesOf(tape.ring[keep - 1]!);
      }
      tape.ring.splice(0, keep);
      this.#bytes += bytes - tape.ringBytes;
      tape.ringBytes = bytes;
    }
    if (this.#bytes <= FEED_BYTES_MAX) return;
    // Insertion order is the order of the last time a tape was over the bound: the first is let go.
    this.#tapes.delete(taskId);
    this.#tapes.set(taskId, tape);
    for (const quiet of this.#tapes.values()) {
      if (this.#bytes <= FEED_BYTES_MAX) break;
      this.#dropRing(quiet);
    }
  }

  #dropRing(tape: Tape): void {
    this.#bytes -= tape.ringBytes;
    tape.ring = [];
    tape.ringBytes = 0;
  }
}

function newTape(): Tape {
  return { status: null, lastSeq: 0n, ring: [], ringBytes: 0, subscribers: new Set() };
}

function wake({ subscribers }: Tape): void {
  for (const subscriber of subscribers) subscriber.wake();
}
