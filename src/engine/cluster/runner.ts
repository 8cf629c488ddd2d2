import type { Kysely } from "kysely";
import { stopAttempt } from "../../domain/lifecycle.ts";
import type { KindOffer, StalledTask } from "../../domain/session.ts";
import { claimTasks } from "../../store/tasks/claim-statement.ts";
import type { Claim } from "../../store/tasks/claim-statement.ts";
import type { OwnedTask } from "../../store/tasks/owned-tasks.ts";
import type { Database } from "../../store/schema.ts";
import type { AttemptHost } from "../attempt/attempt-host.ts";
import { Claimer } from "../attempt/claimer.ts";
import { Executor } from "../attempt/executor.ts";
import type { ExecutorParts } from "../attempt/executor.ts";
import type { Feed } from "../read/feed.ts";
import { TaskValidator } from "../maintenance/task-validator.ts";
import { Reconciler } from "../maintenance/reconciler.ts";
import type { Session } from "./session.ts";

/** What every runner of a process has in common. */
export interface RunnerSurroundings extends Omit<ExecutorParts, "host" | "slots" | "onFree"> {
  db: Kysely<Database>;
  feed: Feed;
  /** How many attempts of a task in a row may end with their process. */
  crashesMax: number;
}

/**
 * Runs tasks under a session: those of this process's kinds under its own, and those of a worker that is connected
 * under the worker's. Claims what waits for its kinds, and holds what it runs against what is stored.
 */
export class Runner {
  readonly executor: Executor;
  readonly #kinds: ReadonlyMap<string, KindOffer>;
  readonly #parts: RunnerSurroundings;
  readonly #host: AttemptHost;
  /** Whether it may be given tasks at all. */
  readonly #isReady: () => boolean;
  #joined: { session: Session; claimer: Claimer; reconciler: Reconciler; validator: TaskValidator } | null = null;
  #isClaiming = false;

  constructor({
    host,
    kinds,
    slots,
    isReady = () => true,
    ...parts
  }: RunnerSurroundings & { host: AttemptHost; kinds: readonly KindOffer[]; slots: number; isReady?: () => boolean }) {
    this.#kinds = new Map(kinds.map(({ name, retry, isExclusive }) => [name, { name, retry, isExclusive }]));
    this.#parts = parts;
    this.#host = host;
    this.#isReady = isReady;
    this.executor = new Executor({
      ...parts,
      host,
      slots,
      onFree: (exclusiveKey) => {
        if (exclusiveKey === null) this.#joined?.claimer.onFreeSlot();
        else this.onFreeKey(exclusiveKey);
      },
    });
  }

  /** Begins to take tasks, under a session that is open. */
  start(session: Session): void {
    const { executor } = this;
    const { db, namespace, crashesMax, feed, control, observer, log } = this.#parts;
    const kinds = [...this.#kinds.keys()];
    const suspectedFrom = Math.max(1, crashesMax - 1);
    const lease = () => session.id;
    const isFresh = () => session.isFresh && this.#isReady();
    const claim = (query: Claim) => claimTasks(db, query);
    const claimer = new Claimer({
      claim,
      namespace,
      kinds,
      suspectedFrom,
      lease,
      isFresh,
      executor,
      feed,
      observer,
      log,
    });
    const onUnstartedTask = (unstarted: OwnedTask) => this.#runOrRelease(unstarted, session);
    const onStalled = (stalled: readonly StalledTask[]) => session.reportStalled(stalled);
    const reconciler = new Reconciler({ db, executor, lease, isFresh, onUnstartedTask, onStalled, log });
    const onReleased = (exclusiveKey: string | null) =>
      exclusiveKey === null ? claimer.onWaiting() : this.onFreeKey(exclusiveKey);
    const validator = new TaskValidator({ db, namespace, kinds, host: this.#host, control, log, onReleased });
    this.#joined = { session, claimer, reconciler, validator };
    this.#isClaiming = true;
    for (const loop of [claimer, reconciler, validator]) loop.start();
  }

  /** Goes on with an attempt that is stored as running under the session. */
  resume({ task, ...state }: OwnedTask): void {
    this.executor.run(task, { lease: task.lease!, ...state, isResumed: true });
  }

  /** Releases a task that its host has never received, back to pending. It does not count as an attempt. */
  async releaseTask({ task: { taskId, attempt, lease } }: OwnedTask): Promise<void> {
    const fence = { taskId, lease: lease!, attempt };
    await this.#parts.control.changeUnrun(fence, "unreached", (task, context) =>
      stopAttempt(task, "unreached", context),
    );
  }

  async #runOrRelease(unstarted: OwnedTask, session: Session): Promise<void> {
    const { task, ...state } = unstarted;
    if (this.#host.runsUnstartedTasks) this.executor.run(task, { lease: session.id, ...state });
    // Else another server may have assigned it to the worker, on a later stream.
    else if (await session.isCurrent()) await this.releaseTask(unstarted);
  }

  /** The session that a task of the kind can be started under at once: null where there is none, or something waits. */
  leaseFor(kind: string): string | null {
    if (this.#joined === null || !this.#isClaiming || !this.#kinds.has(kind)) return null;
    const { session, claimer } = this.#joined;
    return session.isFresh && this.#isReady() && !claimer.hasBacklog ? session.id : null;
  }

  /** What its session says that it runs. */
  get offers(): KindOffer[] {
    return [...this.#kinds.values()];
  }

  offerOf(kind: string): KindOffer | undefined {
    return this.#kinds.get(kind);
  }

  /** A task was stored that waits. @param kind undefined: of any, if there is one at all @param exclusiveKey that it may be waiting for */
  onWaiting(kind?: string, exclusiveKey: string | null = null): void {
    if (exclusiveKey !== null) this.onFreeKey(exclusiveKey);
    else if (kind === undefined) this.#joined?.claimer.onChance();
    else if (this.#kinds.has(kind)) this.#joined?.claimer.onWaiting();
  }

  /** An exclusive key may have become free: the next task that waits for it is to be claimed, or unblocked for others. */
  onFreeKey(exclusiveKey: string): void {
    this.#joined?.claimer.onFreeKey(exclusiveKey);
  }

  /** A task was stored that has to be validated. */
  onUnvalidated(kind: string): void {
    if (this.#kinds.has(kind)) this.#joined?.validator.onUnvalidated();
  }

  /** Somebody else has touched a task that runs here, or may have. */
  onTouched(): void {
    this.#joined?.reconciler.onTouched();
  }

  /** Takes no more tasks. Resolves when none is on its way any more; what runs here goes on. */
  async stopClaiming(): Promise<void> {
    this.#isClaiming = false;
    await Promise.all([this.#joined?.claimer.stop(), this.#joined?.validator.stop()]);
    await this.executor.whenUnreserved();
  }

  /** Ends its loops. The session is left to who has opened it. */
  async stop(): Promise<void> {
    await this.stopClaiming();
    await this.#joined?.reconciler.stop();
  }
}
