import type { Kysely } from "kysely";
import type { Logger } from "pino";
import { refuse } from "../../domain/lifecycle.ts";
import { resolveRetry } from "../../domain/retry.ts";
import type { Database } from "../../store/schema.ts";
import { findUnvalidated, releaseValidated } from "../../store/tasks/unvalidated-tasks.ts";
import type { UnvalidatedTask } from "../../store/tasks/unvalidated-tasks.ts";
import type { AttemptHost } from "../attempt/attempt-host.ts";
import type { TaskControl } from "../attempt/task-control.ts";
import { Loop } from "../../async/loop.ts";

export const VALIDATE_MS = 1_000;
const BATCH_MAX = 100;

/**
 * Validates tasks that were stored by a server without their kind, before they can be claimed. Only a server or worker
 * that has the kind can validate the params, and knows the exclusive key and the retry settings.
 */
export class TaskValidator {
  readonly #db: Kysely<Database>;
  readonly #query: { namespace: string; kinds: readonly string[] };
  readonly #host: AttemptHost;
  readonly #control: TaskControl;
  readonly #log: Logger;
  readonly #onReleased: (exclusiveKey: string | null) => void;
  readonly #loop: Loop;
  /** Validations under way, by task. A worker may take long for one, so none waits for another. */
  readonly #validating = new Map<string, Promise<void>>();

  constructor(parts: {
    db: Kysely<Database>;
    namespace: string;
    kinds: readonly string[];
    host: AttemptHost;
    control: TaskControl;
    log: Logger;
    /** Called when a task has become claimable, with its exclusive key; null if it has none. */
    onReleased: (exclusiveKey: string | null) => void;
    /** Whether the last check has found no task that waits. */
    isIdle: () => boolean;
  }) {
    this.#db = parts.db;
    this.#query = { namespace: parts.namespace, kinds: parts.kinds };
    this.#host = parts.host;
    this.#control = parts.control;
    this.#log = parts.log;
    this.#onReleased = parts.onReleased;
    this.#loop = new Loop({
      name: "task-validator",
      everyMs: VALIDATE_MS,
      log: parts.log,
      isIdle: parts.isIdle,
      turn: () => this.#validateAll(),
    });
  }

  start(): void {
    this.#loop.start();
    this.#loop.kick();
  }

  async stop(): Promise<void> {
    await this.#loop.stop();
    await Promise.all(this.#validating.values());
  }

  /** Called when a task was stored that must be validated. */
  onUnvalidated(): void {
    this.#loop.kick();
  }

  async #validateAll(): Promise<void> {
    const tasks = await findUnvalidated(this.#db, { ...this.#query, limit: BATCH_MAX });
    for (const task of tasks) {
      if (this.#validating.has(task.taskId)) continue;
      const validation = this.#validate(task).catch((error: unknown) => {
        this.#log.warn({ err: error, task_id: task.taskId }, "task-validator: validation failed, retrying");
      });
      this.#validating.set(task.taskId, validation);
      void validation.then(() => {
        this.#validating.delete(task.taskId);
        // The batch was full: there may be more.
        if (tasks.length === BATCH_MAX) this.#loop.kick();
      });
    }
  }

  async #validate({ taskId, kind, params, asked }: UnvalidatedTask): Promise<void> {
    const validation = await this.#host.check({ taskId, kind, params });
    if (validation === null) return;
    if ("failure" in validation) {
      await this.#control.change(taskId, "refused", (task) => refuse(task, validation.failure));
    } else {
      await releaseValidated(this.#db, { taskId, ...validation, ...resolveRetry(asked, this.#host.retryOf(kind)) });
      this.#onReleased(validation.exclusiveKey);
    }
  }
}
