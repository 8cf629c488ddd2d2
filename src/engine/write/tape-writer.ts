import { NumberedBuffer } from "../../async/numbered-buffer.ts";
import type { BufferBound } from "../../async/numbered-buffer.ts";
import type { EventSink } from "../../domain/attempt.ts";
import { LeaseLost, Overloaded } from "../../domain/errors.ts";
import { newEvent } from "../../domain/event.ts";
import type { EventBodies, EventType, NewEvent } from "../../domain/event.ts";
import { silencedRejection } from "../../domain/ignore-rejection.ts";
import type { Fence, TerminalStatus } from "../../domain/task.ts";
import type { TapeQuota } from "./tape-quota.ts";

/** How much one writer holds before its producer waits: 1,024 events or 1 MiB. */
const BOUND: BufferBound = { of: "unsent", items: 1_024, bytes: 1024 * 1024 };
/** A producer that does not wait for room is refused at this many times the bound. */
const OVERRUN_MAX = 16;

/** The events that a flush takes from a writer. */
export interface TakenEvents {
  /** How many events of the attempt were durable before these events. */
  appended: bigint;
  events: readonly NewEvent[];
  bytes: number;
  end: TerminalStatus | null;
}

/**
 * What the writer accepts:
 * - open: events.
 * - ended: no more events. The last event is the final event, with this status.
 * - lost: no more events. Events that were not durable are dropped, because the attempt no longer owns the task.
 */
type State = { is: "open" } | { is: "ended"; status: TerminalStatus } | { is: "lost"; error: Error };

/** The stored end of the attempt. */
interface StoredEnd {
  /** The time of the end by the database's clock; null: this process received no answer with the time. */
  at: Date | null;
  /** Whether the server that the attempt was connected to before has stored the end. */
  isElsewhere: boolean;
}

const OPEN: State = { is: "open" };

/**
 * The journal's input for one attempt. Holds the attempt's events in order until they are durable. At most one flush at
 * a time takes events from a writer. The fence compares the number of durable events, so a retried flush writes nothing
 * twice.
 */
export class TapeWriter implements EventSink {
  readonly fence: Fence;
  readonly #onEvents: (writer: TapeWriter) => void;
  readonly #onLost: () => void;
  readonly #quota: TapeQuota | null;
  readonly #buffer: NumberedBuffer<NewEvent>;
  #state = OPEN;
  #storedEnd: StoredEnd | null = null;

  constructor(
    fence: Fence,
    {
      appended = 0n,
      quota = null,
      onEvents,
      onLost,
    }: {
      /** How many events the attempt already has on the tape. */
      appended?: bigint;
      /** What the attempt may append. null: any number of events. */
      quota?: TapeQuota | null;
      /** Called when an empty writer has events to take. */
      onEvents: (writer: TapeWriter) => void;
      /** Called once when the attempt no longer owns the task. */
      onLost: () => void;
    },
  ) {
    this.fence = fence;
    this.#quota = quota;
    this.#buffer = new NumberedBuffer({ bound: BOUND, sizeOf: bodySize, acknowledged: appended });
    this.#onEvents = onEvents;
    this.#onLost = onLost;
  }

  /** Whether there are no events to take. */
  get isEmpty(): boolean {
    return this.#buffer.unsentCount === 0;
  }

  /** Whether there is room for another event. */
  get hasRoom(): boolean {
    return this.#buffer.hasRoom;
  }

  get isLost(): boolean {
    return this.#state.is === "lost";
  }

  /** Whether an event was refused because the task has reached a limit. Later events are refused too. */
  get isOverLimit(): boolean {
    return this.#quota?.isExceeded ?? false;
  }

  /** How many events of the attempt were accepted so far, durable or not. */
  get accepted(): bigint {
    return this.#buffer.last;
  }

  /** How many events of the attempt are durable. */
  get durable(): bigint {
    return this.#buffer.acknowledged;
  }

  /** When the end was stored, by the database's clock; null: not stored, or no answer received. */
  get endedAt(): Date | null {
    return this.#storedEnd?.at ?? null;
  }

  /** Whether the server that the attempt was connected to before has stored the end. */
  get isEndedElsewhere(): boolean {
    return this.#storedEnd?.isElsewhere ?? false;
  }

  /** Makes an event and appends it. @throws as `append` */
  emit<Type extends EventType>(type: Type, body: EventBodies[Type]): Promise<void> {
    return this.append(newEvent(type, body));
  }

  /**
   * Appends an event. Resolves when there is room for another.
   *
   * @throws LeaseLost, Overloaded, LimitExceeded; then appends nothing
   */
  append(event: NewEvent): Promise<void> {
    if (this.#state.is === "lost") return silencedRejection(this.#state.error);
    if (this.#state.is === "ended") return silencedRejection(new LeaseLost(this.fence.taskId));
    if (this.#buffer.exceeds(OVERRUN_MAX)) {
      return silencedRejection(new Overloaded("the task emits without waiting for room"));
    }
    const exceeded = this.#quota?.add(bodySize(event));
    if (exceeded) return silencedRejection(exceeded);
    this.#add(event);
    return this.#buffer.room();
  }

  /** Ends the task with its final event. Resolves when the end is durable. @throws LeaseLost */
  end(final: NewEvent, status: TerminalStatus): Promise<void> {
    // More events are stored than this attempt has accepted. Another attempt must have written them.
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

  /** For the journal: takes all waiting events, for one flush. */
  take(): TakenEvents {
    const { items: events, bytes } = this.#buffer.take();
    const end = this.#state.is === "ended" ? this.#state.status : null;
    return { appended: this.durable, events, bytes, end };
  }

  /** For the journal: records that the taken events are durable. @param endedAt null: there was no end among them */
  commit(events: number, endedAt: Date | null = null): void {
    if (endedAt !== null) this.#storedEnd = { at: endedAt, isElsewhere: false };
    this.#buffer.acknowledge(this.durable + BigInt(events));
  }

  /**
   * For the journal: records how many of the attempt's events are durable, and offers the other events again. An event
   * with the same number is the same event, whichever process wrote it.
   *
   * @param isOwn whether this process may have written the events
   */
  settle({ appended, isEnded, isOwn }: { appended: bigint; isEnded: boolean; isOwn: boolean }): void {
    if (this.isLost) return;
    if (isEnded) this.#storedEnd = { at: null, isElsewhere: !isOwn };
    this.#buffer.acknowledge(appended);
    this.#buffer.resend();
    if (!this.isEmpty) this.#onEvents(this);
  }

  /** Refuses further events: the attempt no longer owns the task, or another process has ended the task. */
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
