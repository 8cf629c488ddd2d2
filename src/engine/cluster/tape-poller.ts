import type { Kysely } from "kysely";
import type { Logger } from "pino";
import type { Database } from "../../store/schema.ts";
import { readTaskStates } from "../../store/tasks/task-queries.ts";
import type { Feed } from "../read/feed.ts";
import { Loop } from "../../async/loop.ts";

const POLL_MS = 1_000;

/**
 * Polls once a second the followed tapes that other processes may write. Wakes the followers of the tapes that have
 * grown, or whose task was removed, so a lost notification only delays them. A server without peers polls neither the
 * tasks that it runs nor ended tapes.
 */
export class TapePoller {
  readonly #loop: Loop;

  constructor({ db, feed, isRunningHere, hasPeers, log }: TapePollerParts) {
    const poll = async () => {
      const taskIds = hasPeers()
        ? [...feed.followed(), ...feed.followedToEnd()]
        : feed.followed().filter((taskId) => !isRunningHere(taskId));
      if (taskIds.length === 0) return;
      // A tape whose state is known has a task, unless the task was removed.
      const missing = new Set(taskIds.filter((taskId) => feed.state(taskId) !== undefined));
      for (const state of await readTaskStates(db, taskIds)) {
        missing.delete(state.taskId);
        feed.observe(state);
      }
      for (const taskId of missing) feed.observeRemoval(taskId);
    };
    this.#loop = new Loop({ name: "tape-poller", everyMs: POLL_MS, log, turn: poll });
  }

  start(): void {
    this.#loop.start();
  }

  /** Polls now. Called when a notification may have been lost. */
  kick(): void {
    this.#loop.kick();
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }
}

interface TapePollerParts {
  db: Kysely<Database>;
  feed: Feed;
  /** Whether this process runs a task. */
  isRunningHere: (taskId: string) => boolean;
  /** Whether other servers serve the namespace. */
  hasPeers: () => boolean;
  log: Logger;
}
