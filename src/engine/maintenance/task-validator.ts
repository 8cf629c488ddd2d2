import type { Kysely } from "kysely";
import type { Logger } from "pino";
import { refuse } from "../../domain/lifecycle.ts";
import { resolveRetry } from "../../domain/retry.ts";
import type { Database } from "../../store/schema.ts";
import { findUnchecked, releaseChecked } from "../../store/tasks/unvalidated-tasks.ts";
import type { UncheckedTask } from "../../store/tasks/unvalidated-tasks.ts";
import type { AttemptHost } from "../attempt/attempt-host.ts";
import type { Control } from "../attempt/task-control.ts";
import { Loop } from "../../async/loop.ts";

export const LOOK_MS = 1_000;
const BATCH_MAX = 100;

/**
 * Looks over the tasks that were stored where nobody had their kind, before they can be claimed: only those who have it
 * can tell whether the params are good, which exclusive key they have and what the kind says of attempts.
 */
export class Inspector {
  readonly #db: Kysely<Database>;
  readonly #query: { namespace: string; kinds: readonly string[] };
  readonly #host: AttemptHost;
  readonly #control: Control;
  readonly #log: Logger;
  readonly #onReleased: (exclusiveKey: string | null) => void;
  readonly #loop: Loop;
  /** Those that are being looked over, which may take as long as a worker likes: none waits for another's. */
  readonly #looking = new Map<string, Promise<void>>();

  constructor(parts: {
    db: Kysely<Database>;
    namespace: string;
    kinds: readonly string[];
    host: AttemptHost;
    control: Control;
    log: Logger;
    /** Told when there is a task to claim that could not be claimed before, and its exclusive key; null: it has none. */
    onReleased: (exclusiveKey: string | null) => void;
  }) {
    this.#db = parts.db;
    this.#query = { namespace: parts.namespace, kinds: parts.kinds };
    this.#host = parts.host;
    this.#control = parts.control;
    this.#log = parts.log;
    this.#onReleased = parts.onReleased;
    this.#loop = new Loop({ name: "inspector", everyMs: LOOK_MS, log: parts.log, turn: () => this.#look() });
  }

  start(): void {
    this.#loop.start();
    this.#loop.kick();
  }

  async stop(): Promise<void> {
    await this.#loop.stop();
    await Promise.all(this.#looking.values());
  }

  /** A task was stored that is to be looked over. */
  onUnchecked(): void {
    this.#loop.kick();
  }

  async #look(): Promise<void> {
    const tasks = await findUnchecked(this.#db, { ...this.#query, limit: BATCH_MAX });
    for (const task of tasks) {
      if (this.#looking.has(task.taskId)) continue;
      const looking = this.#settle(task).catch((error: unknown) => {
        this.#log.warn({ err: error, task_id: task.taskId }, "a task that waits could not be looked over");
      });
      this.#looking.set(task.taskId, looking);
      void looking.then(() => {
        this.#looking.delete(task.taskId);
        // It was a full batch: there may be more.
        if (tasks.length === BATCH_MAX) this.#loop.kick();
      });
    }
  }

  async #settle({ taskId, kind, params, asked }: UncheckedTask): Promise<void> {
    const finding = await this.#host.check({ taskId, kind, params });
    if (finding === null) return;
    if ("failure" in finding) {
      await this.#control.change(taskId, "refused", (task) => refuse(task, finding.failure));
    } else {
      await releaseChecked(this.#db, { taskId, ...finding, ...resolveRetry(asked, this.#host.retryOf(kind)) });
      this.#onReleased(finding.exclusiveKey);
    }
  }
}
