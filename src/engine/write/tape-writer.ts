import { NumberedBuffer } from "../../async/numbered-buffer.ts";
import type { BufferBound } from "../../async/numbered-buffer.ts";
import type { EventSink } from "../../domain/attempt.ts";
import { LeaseLost, Overloaded } from "../../domain/errors.ts";
import { newEvent } from "../../domain/event.ts";
import type { EventBodies, EventType, NewEvent } from "../../domain/event.ts";
import { silencedRejection } from "../../domain/ignore-rejection.ts";
import type { Fence, TerminalStatus } from "../../domain/task.ts";

/** What one writer holds before its producer waits: 1,024 events, 1 MiB. */
const BOUND: BufferBound = { of: "unsent", items: 1_024, bytes: 1024 * 1024 };
/** A producer that does not wait is refused at this many times the bound. */
const IMPATIENCE_MAX = 16;

/** What a flush takes from a writer. */
export interface TakenEvents {
  /** How many events of the attempt were durable before them. */
  appended: bigint;
  events: readonly NewEvent[];
  bytes: number;
  end: TerminalStatus | null;
}

/**
 * What the writer takes in:
 * - open: events.
 * - ended: nothing more. The last event is the final event, of this status.
 * - lost: nothing more, and what was not durable is dropped. The task is not this attempt's any more.
 */
type State = { is: "open" } | { is: "ended"; status: TerminalStatus } | { is: "lost"; error: Error };

/** An end of the attempt that is stored. */
interface StoredEnd {
  /** By the database's clock; null: no answer of the database has told it. */
  at: Date | null;
  /** Whether another process has stored it: one that the attempt was connected to before. */
  isElsewhere: boolean;
}

const OPEN: State = { is: "open" };

/**
 * The end of the journal that one attempt writes to. It holds the attempt's events in order until they are durable. A
 * flush takes them, at most one flush at a time; how many are durable is the number that the fence compares, so that a
 * flush that is sent again writes nothing twice.
 */
export class TapeWriter implements EventSink {
  readonly fence: Fence;
  readonly #onEvents: (writer: TapeWriter) => void;
  readonly #onLost: () => void;
  readonly #buffer: NumberedBuffer<NewEvent>;
  #state = OPEN;
  #storedEnd: StoredEnd | null = null;

  constructor(
    fence: Fence,
    {
      appended = 0n,
      onEvents,
      onLost,
    }: {
      /** How many events the attempt has on the tape already. */
      appended?: bigint;
      /** Called when there is something to take again. */
      onEvents: (writer: TapeWriter) => void;
      /** Called once when the journal finds that the task is not this attempt's any more. */
      onLost: () => void;
    },
  ) {
    this.fence = fence;
    this.#buffer = new NumberedBuffer({ bound: BOUND, sizeOf: bodySize, acknowledged: appended });
    this.#onEvents = onEvents;
    this.#onLost = onLost;
  }

  /** Whether there is nothing to take. */
  get isEmpty(): boolean {
    return this.#buffer.unsentCount === 0;
  }

  /** Whether the next event would find room. */
  get hasRoom(): boolean {
    return this.#buffer.hasRoom;
  }

  get isLost(): boolean {
    return this.#state.is === "lost";
  }

  /** How many events of the attempt were taken in so far, durable or not. */
  get accepted(): bigint {
    return this.#buffer.last;
  }

  /** How many events of the attempt are durable. */
  get durable(): bigint {
    return this.#buffer.acknowledged;
  }

  /** When its end was stored, by the database's clock; null: it was not, or not in an answer that came. */
  get endedAt(): Date | null {
    return this.#storedEnd?.at ?? null;
  }

  /** Whether the end of the attempt is stored by another process: one that it was connected to before. */
  get isEndedElsewhere(): boolean {
    return this.#storedEnd?.isElsewhere ?? false;
  }

  /** As `append`, of an event that is yet to be made. */
  emit<Type extends EventType>(type: Type, body: EventBodies[Type]): Promise<void> {
    return this.append(newEvent(type, body));
  }

  /** Resolves when there is room for another event. @throws LeaseLost, Overloaded; the event is not taken in then */
  append(event: NewEvent): Promise<void> {
    if (this.#state.is === "lost") return silencedRejection(this.#state.error);
    if (this.#state.is === "ended") return silencedRejection(new LeaseLost(this.fence.taskId));
    if (this.#buffer.exceeds(IMPATIENCE_MAX)) {
      return silencedRejection(new Overloaded("the task emits without waiting for room"));
    }
    this.#add(event);
    return this.#buffer.room();
  }

  /** Ends the task with its final event. Resolves when that is durable. @throws LeaseLost */
  end(final: NewEvent, status: TerminalStatus): Promise<void> {
    // More of the attempt is stored than it is to end with: another attempt has written it.
    if (this.accepted < this.durable && this.#storedEnd === null) this.revoke();
    if (this.#state.is === "open") {
      this.#state = { is: "ended", status };
      this.#add(final);
    }
    return this.flush();
  }

  /** Resolves when everything appended so far is durable. @throws LeaseLost */
  flush(): Promise<void> {
    return this.#state.is === "lost" ? silencedRejection(this.#state.error) : this.#buffer.flush();
  }

  /** For the journal: everything that waits, to be in one flush. */
  take(): TakenEvents {
    const { items: events, bytes } = this.#buffer.take();
    const end = this.#state.is === "ended" ? this.#state.status : null;
    return { appended: this.durable, events, bytes, end };
  }

  /** For the journal: what was taken is durable. @param endedAt of an end among it; null: there is none */
  commit(events: number, endedAt: Date | null = null): void {
    if (endedAt !== null) this.#storedEnd = { at: endedAt, isElsewhere: false };
    this.#buffer.acknowledge(this.durable + BigInt(events));
  }

  /**
   * For the journal: so many of the attempt's events turned out to be durable. The rest is to be taken again: an event
   * of the same number is the same event, whichever process wrote it.
   *
   * @param isOwn whether this process may have written them
   */
  settle({ appended, isEnded, isOwn }: { appended: bigint; isEnded: boolean; isOwn: boolean }): void {
    if (this.isLost) return;
    if (isEnded) this.#storedEnd = { at: null, isElsewhere: !isOwn };
    this.#buffer.acknowledge(appended);
    this.#buffer.resend();
    if (!this.isEmpty) this.#onEvents(this);
  }

  /** The task is not this attempt's any more, or is ended by another process: nothing further is taken in. */
  revoke(error: Error = new LeaseLost(this.fence.taskId)): void {
    if (this.isLost) return;
    this.#state = { is: "lost", error };
    this.#buffer.fail(error);
    this.#onLost();
  }

  #add(event: NewEvent): void {
    this.#buffer.add(event);
    if (this.#buffer.unsentCount === 1) this.#onEvents(this);
  }
}

function bodySize({ body }: NewEvent): number {
  return body.length;
}
