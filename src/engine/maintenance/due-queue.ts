import type { Kysely } from "kysely";
import type { Overdue, RetainedKinds } from "../../domain/retention.ts";
import type { Database } from "../../store/schema.ts";
import { FIRST_ENDED } from "../../store/tasks/due-removals.ts";
import { findDueRetained, findDueTasks } from "../../store/tasks/due-tasks.ts";
import type { DueTask } from "../../store/tasks/due-tasks.ts";
import { readStates } from "../../store/tasks/task-queries.ts";
import { RESUME_MS, RETENTIONS_MAX } from "./retention-sweeper.ts";

/** The most tasks that are known to be due, and the most tasks of a file. */
const QUEUE_MAX = 10_000;
/** The most rows that one statement reads. */
const ROWS = 2_000;

/** A due task that has not been removed. */
interface QueuedTask extends DueTask {
  /** By performance.now(). */
  dueAt: number;
  /** Whether the task is in a file, and may be removed. */
  isWritten: boolean;
}

/** Finds due tasks. Yields after each statement; ends when all were found. */
type Source = () => AsyncGenerator<readonly DueTask[]>;

/** The due tasks that this process knows. Their retentions are those of starts and of the settings. */
export class DueQueue {
  readonly #db: Kysely<Database>;
  readonly #namespace: string;
  readonly #tasks = new Map<string, QueuedTask>();
  /** Tasks that cannot be exported. */
  readonly #refused = new Set<string>();
  readonly #sources: Source[];

  constructor(db: Kysely<Database>, { namespace, kinds }: { namespace: string; kinds: readonly RetainedKinds[] }) {
    this.#db = db;
    this.#namespace = namespace;
    const query = { namespace };
    this.#sources = [retainedSource(db, query), ...kinds.map((retained) => kindsSource(db, { ...query, retained }))];
  }

  get isFull(): boolean {
    return this.#tasks.size >= QUEUE_MAX;
  }

  /** The tasks that are in no file. */
  get unwritten(): DueTask[] {
    return [...this.#tasks.values()].filter(({ isWritten }) => !isWritten);
  }

  /** The tasks that are in a file. */
  get written(): DueTask[] {
    return [...this.#tasks.values()].filter(({ isWritten }) => isWritten);
  }

  /** The task that has been due for longest, or the same of those that are in no file; null: none is due. */
  oldest({ isUnwritten = false } = {}): (Overdue & { dueAt: number }) | null {
    let oldest: QueuedTask | null = null;
    for (const task of this.#tasks.values()) {
      if (isUnwritten && task.isWritten) continue;
      if (oldest === null || task.dueAt < oldest.dueAt) oldest = task;
    }
    if (oldest === null) return null;
    const { dueAt, retentionMs } = oldest;
    return { dueAt, retentionMs, overdueMs: performance.now() - dueAt };
  }

  /** Adds due tasks until the queue is full. Calls `rest` after each statement with the time that it took. */
  async fill(rest: (workedMs: number) => Promise<void>): Promise<void> {
    // The next one begins the next time: none waits for the backlog of another one.
    this.#sources.push(this.#sources.shift()!);
    for (const source of this.#sources) {
      if (this.isFull) return;
      let began = performance.now();
      for await (const found of source()) {
        const now = performance.now();
        for (const due of found) this.#add(due, now);
        if (this.isFull) return;
        await rest(now - began);
        began = performance.now();
      }
    }
  }

  /** Forgets tasks that another process has removed. */
  async dropRemoved(): Promise<void> {
    const taskIds = [...this.#tasks.keys()];
    const states = await readStates(this.#db, { namespace: this.#namespace, taskIds });
    const existing = new Set(states.map(({ taskId }) => taskId));
    this.delete(taskIds.filter((taskId) => !existing.has(taskId)));
  }

  markWritten(taskIds: readonly string[]): void {
    for (const taskId of taskIds) this.#tasks.get(taskId)!.isWritten = true;
  }

  /** Keeps a task, until this process ends. */
  refuse(taskId: string): void {
    this.#tasks.delete(taskId);
    if (this.#refused.size >= QUEUE_MAX) this.#refused.clear();
    this.#refused.add(taskId);
  }

  delete(taskIds: readonly string[]): void {
    for (const taskId of taskIds) this.#tasks.delete(taskId);
  }

  #add(due: DueTask, now: number): void {
    const { taskId, overdueMs } = due;
    if (this.isFull || this.#tasks.has(taskId) || this.#refused.has(taskId)) return;
    this.#tasks.set(taskId, { ...due, dueAt: now - overdueMs, isWritten: false });
  }
}

function retainedSource(db: Kysely<Database>, query: { namespace: string }): Source {
  return async function* () {
    for (let after: number | null = 0; after !== null;) {
      // The first rows may be of tasks that are in the queue.
      const found = await findDueRetained(db, { ...query, after, retentions: RETENTIONS_MAX, rows: QUEUE_MAX });
      yield found.due;
      ({ after } = found);
    }
  };
}

function kindsSource(db: Kysely<Database>, query: { namespace: string; retained: RetainedKinds }): Source {
  let settled = FIRST_ENDED;
  let resumedUntil = performance.now() + RESUME_MS;
  return async function* () {
    if (performance.now() > resumedUntil) {
      settled = FIRST_ENDED;
      resumedUntil = performance.now() + RESUME_MS;
    }
    for (let from = settled; ;) {
      const found = await findDueTasks(db, { ...query, from, rows: ROWS });
      yield found.due;
      // Not reached if the queue is full: some of them may be missing.
      settled = found.settled ?? settled;
      if (found.next === null) return;
      from = found.next;
    }
  };
}
