import assert from "node:assert/strict";
import type { SpoolError } from "../../src/domain/errors.ts";
import { newEvent } from "../../src/domain/event.ts";
import type { NewEvent, TaskFailure } from "../../src/domain/event.ts";
import type { TaskRequest } from "../../src/domain/task.ts";
import type { Engine } from "../../src/engine/engine.ts";
import type { Worker } from "../../src/engine/api/task-engine.ts";
import type {
  AttemptRef,
  WorkerFinish,
  WorkerHello,
  WorkerKind,
  MessageToWorker,
} from "../../src/engine/api/worker-protocol.ts";
import { start } from "./engine-tasks.ts";

type Type = MessageToWorker["type"];
type Notice<T extends Type> = MessageToWorker & { type: T };

export function offerOf(name: string, offer: Partial<WorkerKind> = {}): WorkerKind {
  return { name, retry: {}, isExclusive: false, resumable: false, ...offer };
}

/** A worker that is played by the test: it says what the test says, and keeps what it is told. */
export class ScriptedWorker implements AsyncDisposable {
  readonly #connection: Worker;
  readonly #told: MessageToWorker[];
  readonly #wakes: Set<() => void>;
  error: SpoolError | null = null;

  private constructor(connection: Worker, told: MessageToWorker[], wakes: Set<() => void>) {
    this.#connection = connection;
    this.#told = told;
    this.#wakes = wakes;
    void connection.over.then((error) => {
      this.error = error;
      for (const wake of wakes) wake();
    });
  }

  /** Connects, and has been welcomed when this resolves. */
  static async connect(engine: Engine, hello: Partial<WorkerHello> = {}): Promise<ScriptedWorker> {
    const told: MessageToWorker[] = [];
    const wakes = new Set<() => void>();
    const whole: WorkerHello = {
      kinds: [offerOf("remote")],
      capacity: 8,
      resumeToken: null,
      running: [],
      host: "host",
      pid: 1,
      isDraining: false,
      ...hello,
    };
    const connection = await engine.connectWorker(whole, (notice) => {
      told.push(notice);
      for (const wake of wakes) wake();
    });
    connection.markAlive(); // As a worker that has its welcome.
    return new ScriptedWorker(connection, told, wakes);
  }

  get welcome(): Notice<"welcome"> {
    const [welcome] = this.told("welcome");
    assert.ok(welcome !== undefined, "it was not welcomed");
    return welcome;
  }

  /** Everything of a type that it was told so far. */
  told<T extends Type>(type: T): Notice<T>[] {
    return this.#told.filter((notice): notice is Notice<T> => notice.type === type);
  }

  /** Resolves when it was told so many of a type: the last of them. */
  async next<T extends Type>(type: T, count = 1): Promise<Notice<T>> {
    await this.#until(() => this.told(type).length >= count);
    return this.told(type)[count - 1]!;
  }

  /** Resolves when the engine has ended the stream, with why. */
  async over(): Promise<SpoolError> {
    await this.#until(() => this.error !== null);
    return this.error!;
  }

  markAlive(): void {
    this.#connection.markAlive();
  }

  /** Appends progress with these steps, which are their numbers too. */
  append({ taskId, attempt }: AttemptRef, ...steps: number[]): Promise<void> {
    const events = steps.map((step) => newEvent("progress", { phase: "step", current: step, total: 0 }));
    return this.appendAll({ taskId, attempt }, steps[0]!, events);
  }

  appendAll({ taskId, attempt }: AttemptRef, first: number, events: readonly NewEvent[]): Promise<void> {
    return this.#connection.append({ taskId, attempt, firstNumber: BigInt(first), events });
  }

  stopAssigning(): Promise<void> {
    return this.#connection.stopAssigning();
  }

  finish({ taskId, attempt }: AttemptRef, number: number, end?: WorkerFinish["end"]): Promise<void> {
    const result = { type: "result", result: { number } } as const;
    return this.#connection.finish({ taskId, attempt, number: BigInt(number), end: end ?? result });
  }

  checked(taskId: string, exclusiveKey: string): void {
    this.#connection.checked({ taskId, validation: { exclusiveKey } });
  }

  refuseTask(taskId: string, failure: TaskFailure): void {
    this.#connection.checked({ taskId, validation: { failure } });
  }

  /** Its stream breaks. */
  drop(): Promise<void> {
    return this.#connection.close();
  }

  leave(): Promise<void> {
    return this.#connection.close({ hasLeft: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.drop();
  }

  async #until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wakes.add(resolve);
      await promise;
      this.#wakes.delete(resolve);
    }
  }
}

/** The attempt that a task was assigned with. */
export function refOf({ task: { taskId, attempt } }: Notice<"assign">): AttemptRef {
  return { taskId, attempt };
}

/** Connects a worker and has it run a task. */
export async function beginTask(engine: Engine, request: Partial<TaskRequest> = {}, hello: Partial<WorkerHello> = {}) {
  const worker = await ScriptedWorker.connect(engine, hello);
  const taskId = await start(engine, { kind: "remote", ...request });
  const ref = refOf(await worker.next("assign"));
  assert.equal(ref.taskId, taskId);
  return { worker, ref, token: worker.welcome.resumeToken };
}
