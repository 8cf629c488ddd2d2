import type { TapeEvent } from "../../domain/event.ts";
import type { Task } from "../../domain/task.ts";

/** An ended task that is about to be removed. */
export interface ArchivedTask {
  task: Task;
  /**
   * The tape, in pages. Read all of them before the next task.
   *
   * @throws TaskNotFound, TaskExpired if the task was removed meanwhile
   */
  pages: AsyncIterable<readonly TapeEvent[]>;
}

/** What has become of the tasks of one write. */
export interface ArchivedIds {
  /** The tasks that are durable outside the database, with their whole tapes. */
  written: string[];
  /** The tasks that cannot be written, and must be kept. */
  refused: { taskId: string; reason: string }[];
}

/** Where tasks are written before their retention removes them. */
export interface RemovalArchive {
  /** How long due tasks may wait for others, so that files are not small, in ms. */
  readonly waitMs: number;
  /**
   * Writes tasks, and returns when they are durable. May stop before the last one: those in neither list are written
   * another time.
   *
   * @throws RemovalArchiveFailed; errors of the tasks are passed on. Then none of the tasks may be removed
   */
  write(tasks: AsyncIterable<ArchivedTask>): Promise<ArchivedIds>;
}

/** The archive cannot be written to now. */
export class RemovalArchiveFailed extends Error {
  constructor(cause: Error) {
    super(cause.message, { cause });
    this.name = "RemovalArchiveFailed";
  }
}
