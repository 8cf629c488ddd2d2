import type { Kysely } from "kysely";
import { CachedQuery } from "../../async/cached-query.ts";
import { LimitExceeded } from "../../domain/errors.ts";
import type { Limits, LimitsOf } from "../../domain/tenant-limits.ts";
import { countTasks, countWaitingOf } from "../../store/reports/task-counts.ts";
import type { Database } from "../../store/schema.ts";
import type { StoredBytes } from "./stored-bytes.ts";
import { COUNT_FACTOR, COUNT_MS, WaitingCount } from "./waiting-count.ts";

/** When a start that was refused for waiting tasks may succeed. */
const RETRY_MS = 1_000;

/** Who starts a task. */
export interface Starting {
  /** null: the call is not authenticated. */
  startedBy: string | null;
  /** The limits of the caller's credential, always the same object. */
  limits: Limits;
}

/**
 * Enforces the limits of a namespace on waiting and running tasks over all servers, on params and on stored bytes, and
 * those of callers on their waiting tasks and params. Nothing is counted without a limit.
 */
export class NamespaceUse {
  readonly #db: Kysely<Database>;
  readonly #namespace: string;
  readonly #limits: () => Limits;
  readonly #runningHere: () => number;
  readonly #storedBytes: Pick<StoredBytes, "read">;
  readonly #running: CachedQuery<void>;
  readonly #waiting: WaitingCount;
  /** The waiting tasks of callers, by the limits of their credentials. */
  readonly #waitingOf = new WeakMap<Limits, WaitingCount>();
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
    const { db, namespace } = parts;
    this.#waiting = new WaitingCount((max) => countTasks(db, { namespace, status: "pending", max }));
    const cached = { maxAgeMs: COUNT_MS, ageFactor: COUNT_FACTOR };
    this.#running = new CachedQuery(() => this.#countRunningElsewhere(), cached);
  }

  /** Counts what is limited and was counted too long ago. @throws StoreUnavailable */
  async refresh(by: Starting): Promise<void> {
    for (const { limits, waiting } of this.#tenants(by)) {
      if (limits.pendingTasks !== undefined) await waiting?.refresh(limits.pendingTasks);
    }
    // A start does not fail because the estimate takes too long: the last one counts.
    const isLimited = this.#limits().storedBytes !== undefined;
    const sizes = isLimited ? await this.#storedBytes.read().catch(() => null) : null;
    if (sizes !== null) this.#bytes = sizes.get(this.#namespace) ?? 0;
  }

  /**
   * Counts a start. Call refresh before.
   *
   * @param start.params as JSON
   * @param start.isPending whether the task has to wait
   * @throws LimitExceeded
   */
  admitStart({ params, isPending, by }: { params: string; isPending: boolean; by: Starting }): void {
    const { storedBytes } = this.#limits();
    const tenants = this.#tenants(by);
    for (const { of, limits } of tenants) requireFittingParams(params, of, limits);
    if (storedBytes !== undefined && this.#bytes >= storedBytes) {
      const what = `the namespace has its maximum of ${storedBytes} stored bytes: delete tasks, or keep them for less time`;
      throw new LimitExceeded(what, { limit: "stored_bytes", max: storedBytes, of: "namespace" });
    }
    if (!isPending) return;
    for (const { of, name, limits, waiting } of tenants) {
      const { pendingTasks: max = Infinity } = limits;
      if (waiting === null || waiting.total < max) continue;
      const what = `the ${of} ${name} has its maximum of ${max} waiting tasks`;
      throw new LimitExceeded(what, { limit: "pending_tasks", max, of, retryAfterMs: RETRY_MS });
    }
    for (const { waiting } of tenants) waiting?.add();
  }

  /** How many more tasks may run in this process. Infinity: there is no limit. Counted again in the background. */
  get room(): number {
    const { runningTasks } = this.#limits();
    if (runningTasks === undefined) return Infinity;
    if (this.#running.isExpired) void this.#running.read().catch(() => {});
    return Math.max(0, runningTasks - this.#runningElsewhere - this.#runningHere());
  }

  /** Returns whose limits a start must keep. */
  #tenants({ startedBy, limits }: Starting): readonly Tenant[] {
    const namespace = {
      of: "namespace",
      name: this.#namespace,
      limits: this.#limits(),
      waiting: this.#waiting,
    } as const;
    if (startedBy === null) return [namespace];
    const waiting = limits.pendingTasks === undefined ? null : this.#waitingOfCaller(startedBy, limits);
    return [namespace, { of: "principal", name: startedBy, limits, waiting }];
  }

  #waitingOfCaller(startedBy: string, limits: Limits): WaitingCount {
    let waiting = this.#waitingOf.get(limits);
    if (waiting === undefined) {
      const namespace = this.#namespace;
      waiting = new WaitingCount((max) => countWaitingOf(this.#db, { namespace, startedBy, max }));
      this.#waitingOf.set(limits, waiting);
    }
    return waiting;
  }

  async #countRunningElsewhere(): Promise<void> {
    const max = (this.#limits().runningTasks ?? 0) + this.#runningHere();
    const running = await countTasks(this.#db, { namespace: this.#namespace, status: "running", max });
    this.#runningElsewhere = Math.max(0, running - this.#runningHere());
  }
}

/** Whose limits are checked, and how many of its tasks wait. */
interface Tenant {
  of: LimitsOf;
  name: string;
  limits: Limits;
  /** null: there is no limit. */
  waiting: WaitingCount | null;
}

function requireFittingParams(params: string, of: LimitsOf, { paramsBytes: max }: Limits): void {
  if (max === undefined) return;
  const bytes = Buffer.byteLength(params);
  if (bytes <= max) return;
  const where = of === "namespace" ? "in this namespace" : "with this credential";
  throw new LimitExceeded(`params: must have at most ${max} bytes as JSON ${where}, not ${bytes}`, {
    limit: "params_bytes",
    max,
    of,
  });
}
