import { RENEWALS } from "../cluster/session.ts";

/** How many heartbeats each side sends within a lease. */
const HEARTBEATS = RENEWALS;
/** After so many heartbeats without a message, a worker is assigned nothing and its session is not renewed. */
const SUSPECT_HEARTBEATS = 1.5;
/** After so many heartbeats without a message, the stream is dead. */
const DEAD_HEARTBEATS = 3;

/** Tracks how long a worker has sent nothing. */
export class WorkerLiveness {
  readonly heartbeatMs: number;
  #aliveAt = performance.now();
  /** How many messages are being processed. Messages after them are not read yet. */
  #taking = 0;

  constructor({ leaseMs }: { leaseMs: number }) {
    this.heartbeatMs = leaseMs / HEARTBEATS;
  }

  /** The silence after which a worker is dead, in ms. */
  get deadAfterMs(): number {
    return DEAD_HEARTBEATS * this.heartbeatMs;
  }

  get isSuspect(): boolean {
    return this.#isSilentFor(SUSPECT_HEARTBEATS * this.heartbeatMs);
  }

  get isDead(): boolean {
    return this.#isSilentFor(this.deadAfterMs);
  }

  markAlive(): void {
    this.#aliveAt = performance.now();
  }

  /** Begins to process a message. Until takeEnd, later messages may wait unread, so the worker is not silent. */
  takeBegin(): void {
    this.#taking++;
  }

  takeEnd(): void {
    this.#taking--;
  }

  #isSilentFor(ms: number): boolean {
    return this.#taking === 0 && performance.now() - this.#aliveAt > ms;
  }
}
