import type { Kysely } from "kysely";
import type { Logger } from "pino";
import { Loop } from "../../async/loop.ts";
import { pause } from "../../async/pause.ts";
import type { Database } from "../../store/schema.ts";
import { deleteExpiredMarkers, deleteRemovedEvents } from "../../store/tasks/removed-tasks.ts";

const SWEEP_MS = 1_000;
/** The most events in one commit: few, so that the other statements of the database hardly wait. */
const EVENTS_MAX = 5_000;
/**
 * Rests nine times as long as it worked, which takes a tenth of one connection. If that is not enough for an hour, rests
 * as long as it worked.
 */
const REST_FACTOR = 9;
const HURRY_AFTER_MS = 60 * 60_000;
/** The most markers in one commit. */
const MARKERS_MAX = 1_000;

/**
 * Deletes what removed tasks have left: their events, which readers see no more, and markers that have expired. Each
 * commit deletes a bounded batch. Every server does this, and a task whose server has died on the way is finished by
 * another one. Runs apart from the sweeper of overdue tasks, so that a long tape delays the end of no task.
 */
export class RemovalSweeper {
  readonly #db: Kysely<Database>;
  readonly #namespace: string;
  readonly #loop: Loop;

  /** @param parts.isIdle whether the last check has found nothing to delete */
  constructor(parts: { db: Kysely<Database>; namespace: string; log: Logger; isIdle?: () => boolean }) {
    this.#db = parts.db;
    this.#namespace = parts.namespace;
    const { log, isIdle = () => false } = parts;
    const turn = (signal: AbortSignal) => this.#sweep(signal);
    this.#loop = new Loop({ name: "removal-sweeper", everyMs: SWEEP_MS, log, isIdle, turn });
  }

  start(): void {
    this.#loop.start();
  }

  /** Sweeps now. Called when this process has removed a task. */
  kick(): void {
    this.#loop.kick();
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  async #sweep(signal: AbortSignal): Promise<void> {
    const events = { namespace: this.#namespace, limit: EVENTS_MAX };
    const startedAt = performance.now();
    for (let began = startedAt; !signal.aborted; began = performance.now()) {
      if ((await deleteRemovedEvents(this.#db, events)) === null) break;
      const hasTime = began - startedAt < HURRY_AFTER_MS;
      await pause((hasTime ? REST_FACTOR : 1) * (performance.now() - began), signal).catch(() => {});
    }
    const markers = { namespace: this.#namespace, limit: MARKERS_MAX };
    while (!signal.aborted && (await deleteExpiredMarkers(this.#db, markers)) === MARKERS_MAX);
  }
}
