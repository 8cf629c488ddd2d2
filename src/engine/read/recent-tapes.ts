import type { TaskStatus } from "../../domain/task.ts";
import type { Subscribers } from "./subscribers.ts";
import type { TapeRing } from "./tape-ring.ts";

/** Bound of all rings together, in bytes. Past it the rings of the tapes that were quiet longest are dropped. */
const RINGS_BYTES_MAX = 128 * 1024 * 1024;

/** How many tapes without a follower stay in memory, and up to which size each. */
const UNFOLLOWED_TAPES_MAX = 1_024;
const UNFOLLOWED_BYTES_MAX = 32 * 1024;

/** A tape in memory: its status and last events as far as known, and its followers. */
export interface Tape {
  /** null until a commit or a read has shown it. */
  status: TaskStatus | null;
  readonly ring: TapeRing;
  readonly subscribers: Subscribers;
}

/**
 * The tapes in memory, bounded in bytes. A tape is here as long as it has a follower. A tape that begins in this process
 * stays for a while without one: most callers who start a task follow it next, and a short tape has ended by then.
 */
export class RecentTapes {
  /** Tapes with followers. The order is that in which the tapes were last over the bound of all rings. */
  readonly #followed = new Map<string, Tape>();
  /** Tapes without a follower yet, the oldest first. */
  readonly #unfollowed = new Map<string, Tape>();
  #bytes = 0;

  /** Finds a tape, followed or not. */
  find(taskId: string): Tape | undefined {
    return this.#followed.get(taskId) ?? this.#unfollowed.get(taskId);
  }

  findFollowed(taskId: string): Tape | undefined {
    return this.#followed.get(taskId);
  }

  followed(): ReadonlyMap<string, Tape> {
    return this.#followed;
  }

  /** A tape gets its first follower, or another one. */
  follow(taskId: string, tape: Tape): void {
    this.#unfollowed.delete(taskId);
    this.#followed.set(taskId, tape);
  }

  /** A tape has lost its last follower. */
  unfollow(taskId: string, tape: Tape): void {
    if (this.#followed.get(taskId) !== tape) return;
    this.resize(tape.ring.drop());
    this.#followed.delete(taskId);
  }

  /** Accounts for a change of a ring, in bytes. */
  resize(grownBytes: number): void {
    this.#bytes += grownBytes;
  }

  /** Holds the bounds after events were appended to a tape. */
  keep(taskId: string, tape: Tape): void {
    if (tape.subscribers.size > 0) this.#boundFollowed(taskId, tape);
    else this.#boundUnfollowed(taskId, tape);
  }

  #boundFollowed(taskId: string, tape: Tape): void {
    this.resize(tape.ring.trim());
    if (this.#bytes <= RINGS_BYTES_MAX) return;
    this.#followed.delete(taskId);
    this.#followed.set(taskId, tape);
    for (const { ring } of this.#followed.values()) {
      if (this.#bytes <= RINGS_BYTES_MAX) break;
      this.resize(ring.drop());
    }
  }

  #boundUnfollowed(taskId: string, tape: Tape): void {
    this.#unfollowed.set(taskId, tape);
    if (tape.ring.bytes > UNFOLLOWED_BYTES_MAX) this.#forget(taskId, tape);
    else if (this.#unfollowed.size > UNFOLLOWED_TAPES_MAX) {
      const [oldest] = this.#unfollowed;
      this.#forget(...oldest!);
    }
  }

  #forget(taskId: string, tape: Tape): void {
    this.resize(tape.ring.drop());
    this.#unfollowed.delete(taskId);
  }
}
