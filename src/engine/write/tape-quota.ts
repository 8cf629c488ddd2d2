import type { LimitExceeded } from "../../domain/errors.ts";
import { taskLimitExceeded } from "../../domain/tenant-limits.ts";
import type { Limits } from "../../domain/tenant-limits.ts";

/** What an attempt may still add to the tape of its task, by the limits of the namespace. */
export class TapeQuota {
  readonly #limits: Limits;
  readonly #onExceeded: () => void;
  #events: number;
  #bytes = 0;
  #exceeded: LimitExceeded | null = null;

  /**
   * @param events how many events the tape has already
   * @param onExceeded called once, when the first event is refused
   */
  constructor(limits: Limits, { events, onExceeded }: { events: number; onExceeded: () => void }) {
    this.#limits = limits;
    this.#onExceeded = onExceeded;
    this.#events = events;
  }

  get isExceeded(): boolean {
    return this.#exceeded !== null;
  }

  /** Counts bytes that are on the tape already. They are read while the code runs. */
  addStored(bytes: number): void {
    this.#bytes += bytes;
  }

  /** Counts an event. @returns the error if the event is over a limit, and for all later events */
  add(bytes: number): LimitExceeded | null {
    if (this.#exceeded !== null) return this.#exceeded;
    this.#events++;
    this.#bytes += bytes;
    const { eventsPerTask = Infinity, bytesPerTask = Infinity } = this.#limits;
    if (this.#events > eventsPerTask) this.#exceeded = taskLimitExceeded("events_per_task", eventsPerTask);
    else if (this.#bytes > bytesPerTask) this.#exceeded = taskLimitExceeded("bytes_per_task", bytesPerTask);
    if (this.#exceeded !== null) this.#onExceeded();
    return this.#exceeded;
  }
}
