import type { RecentTape } from "./recent-tape.ts";

/** Bound of all rings together, in bytes. Beyond it, the rings of the tapes that were idle longest are dropped. */
const RINGS_BYTES_MAX = 128 * 1024 * 1024;

/** How many tapes without a follower stay in memory, and the most bytes of each. */
const UNFOLLOWED_TAPES_MAX = 1_024;
const UNFOLLOWED_BYTES_MAX = 32 * 1024;

/**
 * The tapes in memory, bounded in bytes. A tape is here as long as it has a follower. A tape that begins in this
 * process stays for a while without one: most callers that start a task follow it next, and a short tape has ended by
 * then.
 */
export class RecentTapes {
  /** Tapes with followers. The order is that in which the tapes were last over the bound of all rings. */
  readonly #followed = new Map<string, RecentTape>();
  /** Tapes without a follower yet, the oldest first. */
  readonly #unfollowed = new Map<string, RecentTape>();
  #bytes = 0;

  /** Finds a tape, followed or not. */
  find(taskId: string): RecentTape | undefined {
    return this.#followed.get(taskId) ?? this.#unfollowed.get(taskId);
  }

  findFollowed(taskId: string): RecentTape | undefined {
    return this.#followed.get(taskId);
  }

  followed(): ReadonlyMap<string, RecentTape> {
    return this.#followed;
  }

  /** Called when a tape gets a follower, its first or a further one. */
  follow(taskId: string, tape: RecentTape): void {
    this.#unfollowed.delete(taskId);
    this.#followed.set(taskId, tape);
  }

  /** Called when a tape has lost its last follower. Removes the tape. */
  unfollow(taskId: string, tape: RecentTape): void {
    if (this.#followed.get(taskId) !== tape) return;
    this.resize(tape.ring.drop());
    this.#followed.delete(taskId);
  }

  /** Drops what is known of the tape of a removed task. A tape with followers stays, for them to find that out. */
  remove(taskId: string): void {
    const unfollowed = this.#unfollowed.get(taskId);
    if (unfollowed !== undefined) this.#forget(taskId, unfollowed);
    const followed = this.#followed.get(taskId);
    if (followed === undefined) return;
    this.resize(followed.ring.drop());
    followed.isRemoved = true;
    followed.subscribers.notifyAll();
  }

  /** Accounts for the growth of a ring, in bytes; negative if it shrank. */
  resize(grownBytes: number): void {
    this.#bytes += grownBytes;
  }

  /** Enforces the bounds after events were appended to a tape. */
  enforceBounds(taskId: string, tape: RecentTape): void {
    if (tape.subscribers.size > 0) this.#boundFollowed(taskId, tape);
    else this.#boundUnfollowed(taskId, tape);
  }

  #boundFollowed(taskId: string, tape: RecentTape): void {
    this.resize(tape.ring.trim());
    if (this.#bytes <= RINGS_BYTES_MAX) return;
    this.#followed.delete(taskId);
    this.#followed.set(taskId, tape);
    for (const { ring } of this.#followed.values()) {
      if (this.#bytes <= RINGS_BYTES_MAX) break;
      this.resize(ring.drop());
    }
  }

  #boundUnfollowed(taskId: string, tape: RecentTape): void {
    this.#unfollowed.set(taskId, tape);
    if (tape.ring.bytes > UNFOLLOWED_BYTES_MAX) this.#forget(taskId, tape);
    else if (this.#unfollowed.size > UNFOLLOWED_TAPES_MAX) {
      const [oldest] = this.#unfollowed;
      this.#forget(...oldest!);
    }
  }

  #forget(taskId: string, tape: RecentTape): void {
    this.resize(tape.ring.drop());
    this.#unfollowed.delete(taskId);
  }
}
