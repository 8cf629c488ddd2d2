import type { EventSink } from "../../domain/attempt.ts";
import { LeaseLost, Overloaded } from "../../domain/errors.ts";
import { newEvent } from "../../domain/event.ts";
import type { EventBodies, EventType, NewEvent } from "../../domain/event.ts";
import { quiet, rejected } from "../../domain/ignore-rejection.ts";
import type { Fence, TerminalStatus } from "../../domain/task.ts";

/** What one writer may hold before its producer has to wait. */
const BUFFER_EVENTS_MAX = 1_024;
const BUFFER_BYTES_MAX = 1024 * 1024;
/** A producer that does not wait is refused past this many times the bound. */
const IMPATIENCE_MAX = 16;

const ROOM = Promise.resolve();

/** What a flush takes from a writer. */
export interface TakenEvents {
  appended: bigint;
  events: readonly NewEvent[];
  bytes: number;
  end: TerminalStatus | null;
}

/**
 * The end of the journal that one attempt writes to. It keeps the attempt's events in order until a flush takes them,
 * at most one flush at a time; how many are durable is the number that the fence compares, so that a flush that is
 * sent again writes nothing twice.
 */
export class TapeWriter implements EventSink {
  readonly fence: Fence;
  readonly #onEvents: (writer: TapeWriter) => void;
  readonly #onLost: () => void;
  #buffer: NewEvent[] = [];
  #bytes = 0;
  #end: TerminalStatus | null = null;
  #accepted: bigint;
  #durable: bigint;
  #lost: Error | null = null;
  #endedAt: Date | null = null;
  /** The end of the attempt turned out to be stored. */
  #isEnded = false;
  #isEndedElsewhere = false;
  #room: PromiseWithResolvers<void> | null = null;
  #flushes: { upTo: bigint; done: PromiseWithResolvers<void> }[] = [];

  constructor(
    fence: Fence,
    {
      appended = 0n,
      onEvents,
      onLost,
    }: {
      /** How many events the attempt has on the tape already. */
      appended?: bigint;
      /** Told when there is something to take again. */
      onEvents: (writer: TapeWriter) => void;
      /** Told once when the journal finds that the task is not this attempt's any more. */
      onLost: () => void;
    },
  ) {
    this.fence = fence;
    this.#accepted = appended;
    this.#durable = appended;
    this.#onEvents = onEvents;
    this.#onLost = onLost;
  }

  get isEmpty(): boolean {
    return this.#buffer.length === 0;
  }

  /** Whether the next event would find room. */
  get hasRoom(): boolean {
    return this.#buffer.length < BUFFER_EVENTS_MAX && this.#bytes < BUFFER_BYTES_MAX;
  }

  get isLost(): boolean {
    return this.#lost !== null;
  }

  /** How many events of the attempt were taken so far: those that are durable, and those that wait. */
  get accepted(): bigint {
    return this.#accepted;
  }

  /** When its end was stored, by the database's clock; null: it was not, or not in an answer that came. */
  get endedAt(): Date | null {
    return this.#endedAt;
  }

  /** Whether the end of the attempt is stored by another process: one that it was connected to before. */
  get isEndedElsewhere(): boolean {
    return this.#isEndedElsewhere;
  }

  /** How many of them are durable. */
  get durable(): bigint {
    return this.#durable;
  }

  /** As `append`, of an event that is yet to be made. */
  emit<Type extends EventType>(type: Type, body: EventBodies[Type]): Promise<void> {
    return this.append(newEvent(type, body));
  }

  /** Resolves when there is room for another event. @throws LeaseLost, Overloaded; the event is not taken then */
  append(event: NewEvent): Promise<void> {
    if (this.#lost !== null) return rejected(this.#lost);
    if (this.#end !== null) return rejected(new LeaseLost(this.fence.taskId));
    if (this.#buffer.length >= BUFFER_EVENTS_MAX * IMPATIENCE_MAX || this.#bytes >= BUFFER_BYTES_MAX * IMPATIENCE_MAX) {
      return rejected(new Overloaded("the task emits without waiting for room"));
    }
    this.#push(event);
    if (this.hasRoom) return ROOM;
    this.#room ??= Promise.withResolvers();
    return quiet(this.#room.promise);
  }

  /** Ends the task with its final event. Resolves when that is durable. @throws LeaseLost */
  end(final: NewEvent, status: TerminalStatus): Promise<void> {
    // More of the attempt is stored than it is to end with: it was not the same that has written it.
    if (this.#accepted < this.#durable && !this.#isEnded) this.revoke();
    if (this.#lost === null && this.#end === null) {
      this.#end = status;
      this.#push(final);
    }
    return this.flush();
  }

  /** Resolves when everything appended so far is durable. @throws LeaseLost */
  flush(): Promise<void> {
    if (this.#lost !== null) return rejected(this.#lost);
    if (this.#durable >= this.#accepted) return ROOM;
    const done = Promise.withResolvers<void>();
    this.#flushes.push({ upTo: this.#accepted, done });
    return quiet(done.promise);
  }

  /** For the journal: everything that waits, to be in one flush. */
  take(): TakenEvents {
    const taken = { appended: this.#durable, events: this.#buffer, bytes: this.#bytes, end: this.#end };
    this.#buffer = [];
    this.#bytes = 0;
    this.#room?.resolve();
    this.#room = null;
    return taken;
  }

  /** For the journal: what was taken is durable. @param endedAt of an end among it; null: there is none */
  commit(events: number, endedAt: Date | null = null): void {
    this.#endedAt = endedAt;
    this.#durable += BigInt(events);
    while (this.#flushes[0] !== undefined && this.#flushes[0].upTo <= this.#durable)
      this.#flushes.shift()!.done.resolve();
  }

  /**
   * For the journal: so many of the attempt's events turned out to be durable. Of what was taken, and what has come
   * since, the rest is to be taken again: an event of the same number is the same event, whoever wrote it.
   *
   * @param isOwn whether it may have been this process that wrote them
   */
  settle(
    taken: TakenEvents,
    { appended, isEnded, isOwn }: { appended: bigint; isEnded: boolean; isOwn: boolean },
  ): void {
    if (this.#lost !== null) return;
    this.#isEnded = isEnded;
    this.#isEndedElsewhere = isEnded && !isOwn;
    const left = [...taken.events, ...this.#buffer].slice(Number(appended - taken.appended));
    this.#buffer = left;
    this.#bytes = left.reduce((bytes, { body }) => bytes + body.length, 0);
    this.commit(Number(appended - this.#durable));
    if (left.length > 0) this.#onEvents(this);
  }

  /** The task is not this attempt's any more, or is ended by somebody else: nothing further is taken. */
  revoke(error: Error = new LeaseLost(this.fence.taskId)): void {
    if (this.#lost !== null) return;
    this.#lost = error;
    this.#buffer = [];
    this.#bytes = 0;
    this.#room?.reject(error);
    for (const { done } of this.#flushes) done.reject(error);
    this.#flushes = [];
    this.#onLost();
  }

  #push(event: NewEvent): void {
    this.#accepted += 1n;
    if (this.#accepted <= this.#durable) return; // Another process has stored more than has come here so far.
    this.#buffer.push(event);
    this.#bytes += event.body.length;
    if (this.#buffer.length === 1) this.#onEvents(this);
  }
}
