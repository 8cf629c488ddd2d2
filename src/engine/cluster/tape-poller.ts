import type { Kysely } from "kysely";
import type { Logger } from "pino";
import type { Database } from "../../store/schema.ts";
import { readTaskStates } from "../../store/tasks/task-queries.ts";
import type { Feed } from "../read/feed.ts";
import { Loop } from "../../async/loop.ts";

const POLL_MS = 1_000;

/**
 * Polls once a second the followed tapes that other processes may write. Wakes the followers of the tapes that have
 * grown, so a lost notification only delays them. A server without peers does not poll the tasks that it runs.
 */
export class TapePoller {
  readonly #loop: Loop;

  constructor({ db, feed, isRunningHere, hasPeers, log }: TapePollerParts) {
    const poll = async () => {
      const taskIds = feed.followed().filter((taskId) => hasPeers() || !isRunningHere(taskId));
      if (taskIds.length === 0) return;
      for (const state of await readTaskStates(db, taskIds)) feed.observe(state);
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
