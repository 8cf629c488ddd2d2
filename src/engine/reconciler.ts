import type { Kysely } from "kysely";
import type { Logger } from "pino";
import type { Database } from "../store/schema.ts";
import { findOwnedTasks, readOwnedTask } from "../store/owned-tasks.ts";
import type { OwnedTask } from "../store/owned-tasks.ts";
import type { Executor } from "./executor.ts";
import { Loop } from "./loop.ts";

const RECONCILE_MS = 1_000;
/** How long a task may be stored as this process's without running here: its start or claim may just be on its way. */
const ORPHAN_MS = 2_000;

/**
 * Holds what runs under a session against what is stored as its own, every second and whenever another process has
 * touched one of its tasks. Code whose task was cancelled or taken by way of another process is told to stop; a task
 * that nobody here has run, because the answer to its start or claim was lost, is an orphan.
 */
export class Reconciler {
  readonly #db: Kysely<Database>;
  readonly #executor: Executor;
  readonly #lease: () => string;
  readonly #isFresh: () => boolean;
  readonly #onOrphan: (orphan: OwnedTask) => Promise<void>;
  readonly #loop: Loop;
  /** Since when tasks look as if nobody here ran them. */
  #suspects = new Map<string, number>();

  constructor(parts: {
    db: Kysely<Database>;
    executor: Executor;
    lease: () => string;
    /** Whether the session may run what it owns. */
    isFresh: () => boolean;
    /** A task is stored as the session's, and nobody has run it. */
    onOrphan: (orphan: OwnedTask) => Promise<void>;
    log: Logger;
  }) {
    this.#db = parts.db;
    this.#executor = parts.executor;
    this.#lease = parts.lease;
    this.#isFresh = parts.isFresh;
    this.#onOrphan = parts.onOrphan;
    this.#loop = new Loop({ name: "reconciler", everyMs: RECONCILE_MS, log: parts.log, turn: () => this.#reconcile() });
  }

  start(): void {
    this.#loop.start();
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  /** Somebody else has touched a task that runs here. */
  onTouched(): void {
    this.#loop.kick();
  }

  async #reconcile(): Promise<void> {
    const lease = this.#lease();
    const running = this.#executor.running(); // Before the look: all of it is stored by then.
    const owned = await findOwnedTasks(this.#db, lease);
    const stored = new Set(owned.map(({ taskId }) => taskId));
    for (const { taskId, cancelRequestedAt } of owned) {
      if (cancelRequestedAt !== null) this.#executor.stop(taskId, "cancel");
    }
    for (const taskId of running) if (!stored.has(taskId)) this.#executor.stop(taskId, "lost");
    if (this.#isFresh()) await this.#seeToOrphans(lease, owned);
  }

  async #seeToOrphans(lease: string, owned: readonly { taskId: string; attempt: number }[]): Promise<void> {
    const now = performance.now();
    const unknown = owned.filter((attempt) => !this.#executor.hasRun(attempt));
    this.#suspects = new Map(unknown.map(({ taskId }) => [taskId, this.#suspects.get(taskId) ?? now]));
    for (const { taskId, attempt } of unknown) {
      if (now - this.#suspects.get(taskId)! < ORPHAN_MS) continue;
      const found = await readOwnedTask(this.#db, { taskId, lease, attempt });
      if (found !== undefined && !this.#executor.hasRun(found.task)) await this.#onOrphan(found);
    }
  }
}
