import type { Kysely } from "kysely";
import type { Logger } from "pino";
import type { Database } from "../../store/schema.ts";
import { readTaskStates } from "../../store/tasks/task-queries.ts";
import type { Feed } from "../read/feed.ts";
import { Loop } from "../../async/loop.ts";

const POLL_MS = 1_000;

/**
 * The floor under every wait: looks once a second how far the followed tapes have come that others may write, and wakes
 * the followers of those that have moved. A process that is alone knows all of its running tasks' events first.
 */
export class Observer {
  readonly #loop: Loop;

  constructor({ db, feed, isRunningHere, hasPeers, log }: ObserverParts) {
    const look = async () => {
      const taskIds = feed.followed().filter((taskId) => hasPeers() || !isRunningHere(taskId));
      if (taskIds.length === 0) return;
      for (const state of await readTaskStates(db, taskIds)) feed.observe(state);
    };
    this.#loop = new Loop({ name: "observer", everyMs: POLL_MS, log, turn: look });
  }

  start(): void {
    this.#loop.start();
  }

  /** Something may have been missed. */
  kick(): void {
    this.#loop.kick();
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }
}

interface ObserverParts {
  db: Kysely<Database>;
  feed: Feed;
  /** Whether it is this process that writes what happens to a task. */
  isRunningHere: (taskId: string) => boolean;
  /** Whether other servers serve the namespace. */
  hasPeers: () => boolean;
  log: Logger;
}
