import type { Logger } from "pino";
import { Loop } from "../../async/loop.ts";
import { pause } from "../../async/pause.ts";
import { firstPace, nextPace, retainedKinds } from "../../domain/retention.ts";
import type { RetentionSettings } from "../../domain/retention.ts";
import type { Store } from "../../store/database.ts";
import { removeFound } from "../../store/tasks/due-tasks.ts";
import type { RemovalBounds } from "../../store/tasks/due-removals.ts";
import { withExportLock } from "../../store/tasks/export-lock.ts";
import { RemovalArchiveFailed } from "../api/removal-archive.ts";
import type { ArchivedIds, RemovalArchive } from "../api/removal-archive.ts";
import type { EngineObserver } from "../api/engine-observer.ts";
import type { Feed } from "../read/feed.ts";
import { readArchivedTasks } from "./archived-tasks.ts";
import { DueQueue } from "./due-queue.ts";
import { EMBEDDED_REMOVAL_BOUNDS, LOG_MS, REMOVAL_BOUNDS } from "./retention-sweeper.ts";

const SWEEP_MS_MIN = 1_000;
const SWEEP_MS_MAX = 60_000;

/**
 * Does the work of RetentionSweeper, and exports the tasks before it removes them:
 *
 *   find due tasks ─▶ wait for more ─▶ lock ─▶ write a durable file ─▶ remove exactly the tasks of the file
 *
 * If the process dies between the last two, another process exports the tasks again. If the archive fails, no task is
 * removed, and the export is tried again at the next sweep.
 */
export class ExportingSweeper {
  readonly #store: Store;
  readonly #namespace: string;
  readonly #archive: RemovalArchive;
  readonly #bounds: RemovalBounds;
  readonly #feed: Feed;
  readonly #observer: EngineObserver;
  readonly #log: Logger;
  readonly #loop: Loop;
  readonly #queue: DueQueue;
  /** When the last sweep found no due task. All times are by performance.now(). */
  #completeAt = performance.now();
  /** When the oldest known due task fell due, or when a failing sweep last found none; null: none is due. */
  #dueSince: number | null = null;
  #hasArchiveFailed = false;
  #pace = firstPace(performance.now());
  #removed = 0;
  #loggedAt = -Infinity;

  constructor(parts: {
    store: Store;
    namespace: string;
    settings: RetentionSettings;
    archive: RemovalArchive;
    feed: Feed;
    observer: EngineObserver;
    log: Logger;
  }) {
    const { store, namespace, archive } = parts;
    this.#store = store;
    this.#namespace = namespace;
    this.#archive = archive;
    this.#bounds = store.url === null ? EMBEDDED_REMOVAL_BOUNDS : REMOVAL_BOUNDS;
    this.#feed = parts.feed;
    this.#observer = parts.observer;
    this.#log = parts.log;
    this.#queue = new DueQueue(store.priorityDb, { namespace, kinds: retainedKinds(parts.settings) });
    const everyMs = Math.min(SWEEP_MS_MAX, Math.max(SWEEP_MS_MIN, archive.waitMs / 10));
    const turn = (signal: AbortSignal) => this.#sweep(signal);
    this.#loop = new Loop({ name: "retention-sweeper", everyMs, log: parts.log, turn });
  }

  start(): void {
    this.#loop.start();
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  /** For how long the oldest known due task has been due. If sweeps fail: the time since none was due, at most. In ms. */
  get overdueMs(): number {
    return this.#dueSince === null ? 0 : Math.max(0, performance.now() - this.#dueSince);
  }

  async #sweep(signal: AbortSignal): Promise<void> {
    const rest = (workedMs: number) => this.#rest(workedMs, signal);
    try {
      for (let hasMore = true; hasMore;) {
        await this.#removeWritten(rest);
        await this.#queue.fill(rest);
        this.#noteOldest();
        hasMore = this.#isFileDue() && ((await this.#exportAlone(rest)) ?? false);
      }
      await this.#removeWritten(rest);
      this.#noteOldest();
    } catch (error) {
      if (signal.aborted) return;
      this.#dueSince ??= this.#completeAt;
      throw error;
    }
  }

  #noteOldest(): void {
    this.#dueSince = this.#queue.oldest()?.dueAt ?? null;
    if (this.#dueSince === null) this.#completeAt = performance.now();
  }

  /** Whether enough tasks are due for a file, or one has waited for long enough. */
  #isFileDue(): boolean {
    const oldest = this.#queue.oldest({ isUnwritten: true });
    return oldest !== null && (this.#queue.isFull || oldest.overdueMs >= this.#archive.waitMs);
  }

  /**
   * Exports tasks, unless another server does. Two servers then rarely export the same tasks.
   *
   * @returns whether more tasks are to be exported now; null: another server exports
   */
  #exportAlone(rest: (workedMs: number) => Promise<void>): Promise<boolean | null> {
    return withExportLock(this.#store, this.#namespace, async () => {
      // Another server may have exported and removed them.
      await this.#queue.dropRemoved();
      this.#noteOldest();
      return this.#isFileDue() ? this.#export(rest) : true;
    });
  }

  async #export(rest: (workedMs: number) => Promise<void>): Promise<boolean> {
    const { priorityDb: db } = this.#store;
    const taskIds = this.#queue.unwritten.map(({ taskId }) => taskId);
    const tasks = readArchivedTasks(db, { namespace: this.#namespace, taskIds, rest });
    let ids: ArchivedIds;
    try {
      ids = await this.#archive.write(tasks);
    } catch (error) {
      if (!(error instanceof RemovalArchiveFailed)) throw error;
      this.#reportFailure(error);
      return false;
    }
    if (this.#hasArchiveFailed) this.#log.info("retention: export succeeded, removal continues");
    this.#hasArchiveFailed = false;
    this.#observer.tasksExported(ids.written.length);
    for (const { taskId, reason } of ids.refused) {
      this.#log.error({ task_id: taskId, reason }, "retention: task cannot be exported, kept until a restart");
      this.#queue.refuse(taskId);
    }
    this.#queue.markWritten(ids.written);
    return (await this.#removeWritten(rest)) > 0;
  }

  /** Logs a failure once per outage. */
  #reportFailure(error: RemovalArchiveFailed): void {
    this.#observer.exportFailed();
    if (this.#hasArchiveFailed) return;
    this.#hasArchiveFailed = true;
    this.#log.error({ err: error }, "retention: export failed, no task is removed until an export succeeds");
  }

  /** Removes tasks that are in a file, in batches. Tasks that are locked stay for the next sweep. */
  async #removeWritten(rest: (workedMs: number) => Promise<void>): Promise<number> {
    let left = this.#queue.written;
    let count = 0;
    while (left.length > 0) {
      const began = performance.now();
      const due = left.slice(0, this.#bounds.tasks);
      const removed = await removeFound(this.#store.priorityDb, {
        namespace: this.#namespace,
        due,
        bounds: this.#bounds,
      });
      const workedMs = performance.now() - began;
      const ids = new Set(removed.map(({ taskId }) => taskId));
      left = ids.size === 0 ? left.slice(due.length) : left.filter(({ taskId }) => !ids.has(taskId));
      this.#queue.delete([...ids]);
      count += ids.size;
      for (const { taskId, kind } of removed) {
        this.#feed.observeRemoval(taskId);
        this.#observer.taskRemoved(kind, "retention");
      }
      this.#noteOldest();
      this.#report(ids.size);
      await rest(workedMs);
    }
    if (this.#queue.written.length > 0) await this.#queue.dropRemoved();
    return count;
  }

  /** Rests after work, for less time if removals fall behind. The wait for more tasks is no delay. */
  async #rest(workedMs: number, signal: AbortSignal): Promise<void> {
    const oldest = this.#queue.oldest();
    const overdue = oldest && { ...oldest, overdueMs: Math.max(0, oldest.overdueMs - this.#archive.waitMs) };
    this.#pace = nextPace(this.#pace, overdue, performance.now());
    await pause(this.#pace.restFactor * workedMs, signal);
  }

  /** Logs how many tasks were removed since the last line. */
  #report(removed: number): void {
    this.#removed += removed;
    const now = performance.now();
    if (this.#removed === 0 || now - this.#loggedAt < LOG_MS) return;
    this.#log.info({ removed: this.#removed, overdue_ms: Math.round(this.overdueMs) }, "retention: tasks removed");
    this.#removed = 0;
    this.#loggedAt = now;
  }
}
