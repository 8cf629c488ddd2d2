import { TaskError } from "../../../src/domain/kind.ts";
import type { Kind, TaskContext } from "../../../src/domain/kind.ts";
import type { JsonObject } from "../../../src/domain/json.ts";
import { kindOf } from "../../support/engine-tasks.ts";

/** An attempt whose code runs. Its code does what it is told to. */
export interface RunningCode {
  task: TaskContext;
  done: PromiseWithResolvers<JsonObject>;
}

/** The code of all tasks of this process. It is in the hands of the programs. */
export class ScriptedCode {
  readonly #running = new Map<string, RunningCode>();
  /** Those who wait for an attempt to begin, by task and attempt. */
  readonly #awaited = new Map<string, PromiseWithResolvers<void>>();
  /** Programs that are over: their tasks end at once. */
  readonly #over = new Set<string>();

  readonly kinds: readonly Kind[] = [
    kindOf("plain", (task) => this.#run(task)),
    kindOf("exclusive", (task) => this.#run(task), { exclusiveKey: ({ key }) => key as string }),
  ];

  find(taskId: string): RunningCode | undefined {
    return this.#running.get(taskId);
  }

  /** Resolves when an attempt of a task runs. */
  async begun(taskId: string, attempt: number): Promise<RunningCode> {
    for (;;) {
      const code = this.#running.get(taskId);
      if (code?.task.attempt === attempt) return code;
      const awaited = Promise.withResolvers<void>();
      this.#awaited.set(taskId, awaited);
      await awaited.promise;
    }
  }

  /** Ends the code of a program, also what would begin later. */
  finish(program: string, taskIds: Iterable<string>): void {
    this.#over.add(program);
    for (const taskId of taskIds)
      this.#running.get(taskId)?.done.reject(new TaskError("OVER", "the program is over", { retryable: false }));
  }

  async #run(task: TaskContext): Promise<JsonObject> {
    const { program } = task.params as { program: string };
    if (this.#over.has(program)) return {};
    const done = Promise.withResolvers<JsonObject>();
    const code = { task, done };
    this.#running.set(task.taskId, code);
    this.#awaited.get(task.taskId)?.resolve();
    this.#awaited.delete(task.taskId);
    try {
      return await done.promise;
    } finally {
      if (this.#running.get(task.taskId) === code) this.#running.delete(task.taskId);
    }
  }
}
