import type { Kysely } from "kysely";
import { CachedQuery } from "../../async/cached-query.ts";
import { LimitExceeded } from "../../domain/errors.ts";
import type { Limits } from "../../domain/tenant-limits.ts";
import { countTasks } from "../../store/reports/task-counts.ts";
import type { Database } from "../../store/schema.ts";
import type { StoredBytes } from "./stored-bytes.ts";

/** How long a count is used. */
const COUNT_MS = 1_000;
/** A count is used for this many times its query time if that is longer. */
const COUNT_FACTOR = 9;
/** When a start that was refused for waiting tasks may succeed. */
const RETRY_MS = 1_000;

/**
 * Enforces the limits of a namespace on waiting and running tasks, over all servers. Tasks are counted at most once a
 * second, only up to the limit, and only if there is a limit. This process adds its own starts to the last count, so one
 * server keeps to a limit, and several servers may exceed it by their starts of one second.
 */
export class NamespaceUse {
  readonly #db: Kysely<Database>;
  readonly #namespace: string;
  readonly #limits: () => Limits;
  readonly #runningHere: () => number;
  readonly #storedBytes: Pick<StoredBytes, "read">;
  readonly #pending: CachedQuery<number>;
  readonly #running: CachedQuery<void>;
  /** The waiting tasks at the last count, and those of this process's starts since the count began. */
  #pendingBefore = 0;
  #pendingSince = 0;
  /** The last estimate of what the namespace takes in the database. */
  #bytes = 0;
  /** Tasks that run elsewhere. Infinity until they are counted. */
  #runningElsewhere = Infinity;

  constructor(parts: {
    db: Kysely<Database>;
    namespace: string;
    limits: () => Limits;
    shared: { storedBytes: Pick<StoredBytes, "read"> };
    /** How many tasks run, or are about to run, in this process and at its workers. */
    runningHere: () => number;
  }) {
    this.#db = parts.db;
    this.#namespace = parts.namespace;
    this.#limits = parts.limits;
    this.#runningHere = parts.runningHere;
    this.#storedBytes = parts.shared.storedBytes;
    const cached = { maxAgeMs: COUNT_MS, ageFactor: COUNT_FACTOR };
    this.#pending = new CachedQuery(() => this.#countPending(), cached);
    this.#running = new CachedQuery(() => this.#countRunningElsewhere(), cached);
  }

  /** Counts what is limited and was counted too long ago. @throws StoreUnavailable */
  async refresh(): Promise<void> {
    const { pendingTasks, storedBytes } = this.#limits();
    if (pendingTasks !== undefined) this.#pendingBefore = await this.#pending.read();
    // A start does not fail because the estimate takes too long: the last one counts.
    const sizes = storedBytes === undefined ? null : await this.#storedBytes.read().catch(() => null);
    if (sizes !== null) this.#bytes = sizes.get(this.#namespace) ?? 0;
  }

  /**
   * Counts a start. Call refresh before.
   *
   * @param params as JSON
   * @param isPending whether the task has to wait
   * @throws LimitExceeded
   */
  admitStart({ params, isPending }: { params: string; isPending: boolean }): void {
    const { paramsBytes: bytesMax, pendingTasks, storedBytes } = this.#limits();
    const paramsBytes = bytesMax === undefined ? 0 : Buffer.byteLength(params);
    if (bytesMax !== undefined && paramsBytes > bytesMax) {
      const what = `params: must have at most ${bytesMax} bytes as JSON in this namespace, not ${paramsBytes}`;
      throw new LimitExceeded(what, { limit: "params_bytes", max: bytesMax, of: "namespace" });
    }
    if (storedBytes !== undefined && this.#bytes >= storedBytes) {
      const what = `the namespace has its maximum of ${storedBytes} stored bytes: delete tasks, or keep them for less time`;
      throw new LimitExceeded(what, { limit: "stored_bytes", max: storedBytes, of: "namespace" });
    }
    if (!isPending || pendingTasks === undefined) return;
    if (this.#pendingBefore + this.#pendingSince >= pendingTasks) {
      const what = `the namespace has its maximum of ${pendingTasks} waiting tasks`;
      const of = "namespace" as const;
      throw new LimitExceeded(what, { limit: "pending_tasks", max: pendingTasks, of, retryAfterMs: RETRY_MS });
    }
    this.#pendingSince++;
  }

  /** How many more tasks may run in this process. Infinity: there is no limit. Counted again in the background. */
  get room(): number {
    const { runningTasks } = this.#limits();
    if (runningTasks === undefined) return Infinity;
    if (this.#running.isExpired) void this.#running.read().catch(() => {});
    return Math.max(0, runningTasks - this.#runningElsewhere - this.#runningHere());
  }

  async #countPending(): Promise<number> {
    this.#pendingSince = 0;
    const max = this.#limits().pendingTasks ?? 0;
    return countTasks(this.#db, { namespace: this.#namespace, status: "pending", max });
  }

  async #countRunningElsewhere(): Promise<void> {
    const max = (this.#limits().runningTasks ?? 0) + this.#runningHere();
    const running = await countTasks(this.#db, { namespace: this.#namespace, status: "running", max });
    this.#runningElsewhere = Math.max(0, running - this.#runningHere());
  }
}
