import type { ControlledTransaction, Kysely, Transaction } from "kysely";
import { ArchiveError } from "../../archive/archive-error.ts";
import { ignoreRejection } from "../../domain/ignore-rejection.ts";
import type { TapeEvent } from "../../domain/event.ts";
import type { TaskView } from "../../domain/task.ts";
import { isContentError } from "../../store/errors.ts";
import type { Database } from "../../store/schema.ts";
import {
  allowPauses,
  findNamespaces,
  lockMarkers,
  writeImportedEvents,
  writeImportedTasks,
} from "../../store/tasks/imported-tasks.ts";
import { deleteRemovedEvents } from "../../store/tasks/removed-tasks.ts";
import { PendingTask } from "./pending-task.ts";
import { digestStored } from "./stored-digest.ts";

/** One statement writes at most so many events and tasks, and about so many characters. */
const BATCH_EVENTS_MAX = 5_000;
const BATCH_TASKS_MAX = 500;
const BATCH_CHARS_MAX = 4 * 1024 * 1024;
/** How many events of a removed task are deleted in one commit. */
const DELETED_EVENTS = 5_000;
const MARKER_TRIES = 20;

/** What an import has done so far. */
export interface ImportCounts {
  /** Tasks that were written. */
  tasks: number;
  /** Their events. */
  events: number;
  /** Tasks that existed already, with the same digest. */
  skipped: number;
  /** Tasks that were written without their request_id, because it has started another task. */
  withoutRequestId: number;
}

/**
 * Writes the tasks of a file, each with its tape in one transaction. Small tasks share a transaction. A tape that is
 * longer than a statement may be is written by several statements of one transaction, so it is visible as a whole or not
 * at all, and an import that is killed leaves nothing behind.
 */
export class TaskImporter {
  readonly #db: Kysely<Database>;
  readonly #namespace: string;
  readonly #file: string;
  readonly #counts: ImportCounts;
  #open: PendingTask | null = null;
  #batch: PendingTask[] = [];
  #batchEvents = 0;
  #batchChars = 0;
  /** The transaction of the open task, if its tape is long. */
  #long: ControlledTransaction<Database> | null = null;
  /** Whether the open task exists already, so that only its digest counts. */
  #isKnown = false;
  /** The write in progress. The next items are read meanwhile. */
  #writing: Promise<void> = Promise.resolve();

  constructor(
    db: Kysely<Database>,
    { namespace, file, counts }: { namespace: string; file: string; counts: ImportCounts },
  ) {
    this.#db = db;
    this.#namespace = namespace;
    this.#file = file;
    this.#counts = counts;
  }

  /** Begins a task. @param line of the task in the file */
  begin(view: TaskView, line: number): void {
    this.#open = new PendingTask(view, line);
  }

  async add(event: TapeEvent): Promise<void> {
    const open = this.#open!;
    open.add(event);
    if (open.events.length >= BATCH_EVENTS_MAX || open.chars >= BATCH_CHARS_MAX) await this.#writePart(open);
  }

  /** Ends the task, whose digest the caller has checked. */
  async end(sha256: string): Promise<void> {
    const open = this.#open!;
    open.end = { taskId: open.view.taskId, events: Number(open.view.lastSeq), sha256 };
    this.#open = null;
    if (this.#isKnown) {
      this.#isKnown = false;
      await this.#compare(open);
      return;
    }
    if (this.#long !== null) return this.#endLong(open, this.#long);
    if (this.#batch.some(({ view }) => view.taskId === open.view.taskId)) await this.#flush();
    this.#batch.push(open);
    this.#batchEvents += open.events.length;
    this.#batchChars += open.chars + JSON.stringify(open.view.params).length;
    if (this.#isBatchFull()) await this.#flush();
  }

  /** Forgets the open task. */
  async discard(): Promise<void> {
    this.#open = null;
    this.#isKnown = false;
    const long = this.#long;
    if (long === null) return;
    this.#long = null;
    const writing = this.#writing; // Of the long tape: all writes before it are done.
    this.#writing = Promise.resolve();
    await writing.catch(() => {});
    await rollback(long);
  }

  /** Writes all ended tasks. */
  async flush(): Promise<void> {
    await this.#flush();
    await this.#writing;
  }

  #isBatchFull(): boolean {
    return (
      this.#batch.length >= BATCH_TASKS_MAX ||
      this.#batchEvents >= BATCH_EVENTS_MAX ||
      this.#batchChars >= BATCH_CHARS_MAX
    );
  }

  async #flush(): Promise<void> {
    const batch = this.#batch;
    this.#batch = [];
    this.#batchEvents = 0;
    this.#batchChars = 0;
    await this.#writing;
    if (batch.length > 0) this.#writing = ignoreRejection(this.#writeBatch(batch));
  }

  /** Writes the tasks that do not exist. Stops at the first one that exists with another digest. */
  async #writeBatch(batch: readonly PendingTask[]): Promise<void> {
    const known = await findNamespaces(
      this.#db,
      batch.map(({ view }) => view.taskId),
    );
    const fresh: PendingTask[] = [];
    let conflict: unknown = null;
    for (const task of batch) {
      if (!known.has(task.view.taskId)) fresh.push(task);
      else {
        conflict = await this.#compare(task).then(
          () => null,
          (error: unknown) => error,
        );
        if (conflict !== null) break;
      }
    }
    if (fresh.length > 0) await this.#writeTasks(fresh);
    if (conflict !== null) throw conflict;
  }

  async #writeTasks(tasks: readonly PendingTask[]): Promise<void> {
    try {
      const trx = await this.#begin(tasks.map(({ view }) => view.taskId));
      await this.#within(trx, async () => {
        await writeImportedEvents(
          trx,
          tasks.map(({ view, events }) => ({ taskId: view.taskId, events })),
        );
        await this.#writeRows(trx, tasks);
      });
    } catch (error) {
      if (!isContentError(error)) throw error;
      const [first, ...others] = tasks;
      if (others.length === 0) throw this.#refused(first!, error);
      // Something in one of the tasks cannot be stored: the others are.
      for (const task of tasks) await this.#writeTasks([task]);
    }
  }

  /** Writes the events of the open task that came so far. */
  async #writePart(open: PendingTask): Promise<void> {
    const events = open.takeEvents();
    if (this.#isKnown) return;
    const { taskId } = open.view;
    if (this.#long === null) {
      await this.#flush();
      await this.#writing;
      if ((await findNamespaces(this.#db, [taskId])).has(taskId)) {
        this.#isKnown = true;
        return;
      }
      this.#long = await this.#begin([taskId]);
      await allowPauses(this.#long);
    }
    const long = this.#long;
    await this.#writing.catch((error: unknown) => Promise.reject(this.#refused(open, error)));
    this.#writing = ignoreRejection(writeImportedEvents(long, [{ taskId, events }]));
  }

  async #endLong(open: PendingTask, long: ControlledTransaction<Database>): Promise<void> {
    this.#long = null;
    const writing = this.#writing;
    this.#writing = Promise.resolve();
    await this.#within(long, async () => {
      await writing;
      await writeImportedEvents(long, [{ taskId: open.view.taskId, events: open.takeEvents() }]);
      await this.#writeRows(long, [open]);
    }).catch((error: unknown) => Promise.reject(this.#refused(open, error)));
  }

  async #writeRows(trx: Transaction<Database>, tasks: readonly PendingTask[]): Promise<void> {
    const lost = await writeImportedTasks(
      trx,
      this.#namespace,
      tasks.map((task) => task.toTask()),
    );
    this.#counts.withoutRequestId += lost.length;
    this.#counts.tasks += tasks.length;
    for (const { end } of tasks) this.#counts.events += end!.events;
  }

  /** Opens a transaction for tasks that do not exist. If such a task was removed, its events are deleted first. */
  async #begin(taskIds: readonly string[]): Promise<ControlledTransaction<Database>> {
    for (let tries = 0; tries < MARKER_TRIES; tries++) {
      const trx = await this.#db.startTransaction().execute();
      try {
        if ((await lockMarkers(trx, taskIds)).length === 0) return trx;
        await trx.rollback().execute();
      } catch (error) {
        await rollback(trx);
        throw error;
      }
      while ((await deleteRemovedEvents(this.#db, { namespace: this.#namespace, limit: DELETED_EVENTS })) !== null);
    }
    throw new Error("events of removed tasks of the file are still being deleted: run the import again");
  }

  async #within(trx: ControlledTransaction<Database>, work: () => Promise<void>): Promise<void> {
    const before = { ...this.#counts };
    try {
      await work();
      await trx.commit().execute();
    } catch (error) {
      Object.assign(this.#counts, before);
      await rollback(trx);
      throw error;
    }
  }

  /** @throws ArchiveError unless the stored task is the one of the file */
  async #compare({ view, line, end }: PendingTask): Promise<void> {
    const { taskId } = view;
    const namespace = (await findNamespaces(this.#db, [taskId])).get(taskId);
    if (namespace !== this.#namespace) {
      throw new ArchiveError(this.#file, line, `task ${taskId} exists in the namespace ${JSON.stringify(namespace)}`);
    }
    const sha256 = await digestStored(this.#db, namespace, view);
    if (sha256 !== end!.sha256) {
      throw new ArchiveError(this.#file, line, `task ${taskId} exists with another digest, ${sha256}`);
    }
    this.#counts.skipped++;
  }

  #refused({ view, line }: PendingTask, error: unknown): unknown {
    if (!isContentError(error)) return error;
    const reason = `task ${view.taskId} cannot be stored: ${(error as Error).message}`;
    return new ArchiveError(this.#file, line, reason, { cause: error });
  }
}

/** Rolls back a transaction that has failed. Its connection may be gone, so the rollback may fail too. */
async function rollback(trx: ControlledTransaction<Database>): Promise<void> {
  await trx
    .rollback()
    .execute()
    .catch(() => {});
}
