import type { Kysely } from "kysely";
import { stopAttempt } from "../../domain/lifecycle.ts";
import type { KindOffer, StalledTask } from "../../domain/session.ts";
import type { Claim } from "../../store/tasks/claim.ts";
import { claimTasks } from "../../store/tasks/claim-statement.ts";

import type { OwnedTask } from "../../store/tasks/owned-tasks.ts";
import type { Database } from "../../store/schema.ts";
import type { AttemptHost } from "../attempt/attempt-host.ts";
import { Claimer } from "../attempt/claimer.ts";
import { Executor } from "../attempt/executor.ts";
import type { ExecutorParts } from "../attempt/executor.ts";
import type { SlotBudget } from "../attempt/slot-budget.ts";
import type { Feed } from "../read/feed.ts";
import { TaskValidator } from "../maintenance/task-validator.ts";
import { Reconciler } from "../maintenance/reconciler.ts";
import type { Session } from "./session.ts";

/** The parts that all runners of a process share. */
export interface RunnerSurroundings extends Omit<ExecutorParts, "host" | "budget" | "onFree" | "onOffer"> {
  db: Kysely<Database>;
  feed: Feed;
  /** After how many consecutive process deaths during its attempts a task ends. */
  crashesMax: number;
  /** How many more tasks may run in this process, by the limits of the namespace. */
  room: () => number;
  /** Whether the last check of the namespace has found no task that waits or runs. */
  isIdle: () => boolean;
}

/**
 * Runs tasks under one session: tasks of this process's kinds under the server's session, or tasks of a connected
 * worker under the worker's session. Claims waiting tasks of its kinds, and compares running tasks with stored ones.
 */
export class Runner {
  readonly executor: Executor;
  readonly #kinds: ReadonlyMap<string, KindOffer>;
  readonly #parts: RunnerSurroundings;
  readonly #host: AttemptHost;
  /** Whether the runner may be assigned tasks at all. */
  readonly #isReady: () => boolean;
  #joined: { session: Session; claimer: Claimer; reconciler: Reconciler; validator: TaskValidator } | null = null;
  #isClaiming = false;

  constructor({
    host,
    kinds,
    budget,
    isReady = () => true,
    ...parts
  }: RunnerSurroundings & {
    host: AttemptHost;
    kinds: readonly KindOffer[];
    budget: SlotBudget;
    isReady?: () => boolean;
  }) {
    this.#kinds = new Map(kinds.map(({ name, retry, isExclusive }) => [name, { name, retry, isExclusive }]));
    this.#parts = parts;
    this.#host = host;
    this.#isReady = isReady;
    this.executor = new Executor({
      ...parts,
      host,
      budget,
      onFree: (exclusiveKey) => {
        if (exclusiveKey === null) this.#joined?.claimer.onFreeSlot();
        else this.onFreeKey(exclusiveKey);
      },
      onOffer: () => this.#isClaiming && (this.#joined?.claimer.onFreeSlot() ?? false),
    });
  }

  /** Starts to claim tasks under an open session. */
  start(session: Session): void {
    const { executor } = this;
    const { db, namespace, crashesMax, room, isIdle, feed, control, observer, log } = this.#parts;
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
      room,
      feed,
      observer,
      log,
      isIdle,
    });
    const onUnstartedTask = (unstarted: OwnedTask) => this.#runOrRelease(unstarted, session);
    const onStalled = (stalled: readonly StalledTask[]) => session.reportStalled(stalled);
    const reconciler = new Reconciler({ db, executor, lease, isFresh, onUnstartedTask, onStalled, isIdle, log });
    const onReleased = (exclusiveKey: string | null) =>
      exclusiveKey === null ? claimer.onWaiting() : this.onFreeKey(exclusiveKey);
    const validator = new TaskValidator({ db, namespace, kinds, host: this.#host, control, log, onReleased, isIdle });
    this.#joined = { session, claimer, reconciler, validator };
    this.#isClaiming = true;
    for (const loop of [claimer, reconciler, validator]) loop.start();
  }

  /** Continues an attempt that is stored as running under the session. */
  resume({ task, ...state }: OwnedTask): void {
    this.executor.run(task, { lease: task.lease!, ...state, isResumed: true });
  }

  /** Releases a task that its host has never received. The task is pending again, and its attempt does not count. */
  async releaseTask({ task: { taskId, attempt, lease } }: OwnedTask): Promise<void> {
    const fence = { taskId, lease: lease!, attempt };
    await this.#parts.control.changeUnrun(fence, "unreached", (task, context) =>
      stopAttempt(task, "unreached", context),
    );
  }

  async #runOrRelease(unstarted: OwnedTask, session: Session): Promise<void> {
    const { task, ...state } = unstarted;
    if (this.#host.runsUnstartedTasks) this.executor.run(task, { lease: session.id, ...state });
    // If the session is not current, another server may have assigned the task to the worker on a later stream.
    else if (await session.isCurrent()) await this.releaseTask(unstarted);
  }

  /** Returns the lease to start a task of the kind under at once; null if there is none, or older tasks may wait. */
  leaseFor(kind: string): string | null {
    if (this.#joined === null || !this.#isClaiming || !this.#kinds.has(kind)) return null;
    const { session, claimer } = this.#joined;
    return session.isFresh && this.#isReady() && !claimer.hasBacklog ? session.id : null;
  }

  /** Returns the kinds that its session offers. */
  get offers(): KindOffer[] {
    return [...this.#kinds.values()];
  }

  offerOf(kind: string): KindOffer | undefined {
    return this.#kinds.get(kind);
  }

  /**
   * Called when a waiting task was stored.
   *
   * @param kind undefined: tasks of any kind may wait, or none
   * @param exclusiveKey the key that the task may wait for
   */
  onWaiting(kind?: string, exclusiveKey: string | null = null): void {
    if (exclusiveKey !== null) this.onFreeKey(exclusiveKey);
    else if (kind === undefined) this.#joined?.claimer.onPossibleTask();
    else if (this.#kinds.has(kind)) this.#joined?.claimer.onWaiting();
  }

  /** Polls now for tasks that wait and for tasks to validate. */
  poll(): void {
    this.#joined?.claimer.onPossibleTask();
    this.#joined?.validator.onUnvalidated();
  }

  /** Called when an exclusive key may have become free. Claims or unblocks the next task of the key. */
  onFreeKey(exclusiveKey: string): void {
    this.#joined?.claimer.onFreeKey(exclusiveKey);
  }

  /** Called when a task was stored that must be validated. */
  onUnvalidated(kind: string): void {
    if (this.#kinds.has(kind)) this.#joined?.validator.onUnvalidated();
  }

  /** Called when another process has changed, or may have changed, a task that runs here. */
  onTouched(): void {
    this.#joined?.reconciler.onTouched();
  }

  /** Stops claiming tasks. Resolves when no claimed task is on its way any more. Running tasks continue. */
  async stopClaiming(): Promise<void> {
    this.#isClaiming = false;
    await Promise.all([this.#joined?.claimer.stop(), this.#joined?.validator.stop()]);
    await this.executor.whenUnreserved();
  }

  /** Stops the loops. The session stays open: its opener closes it. */
  async stop(): Promise<void> {
    await this.stopClaiming();
    await this.#joined?.reconciler.stop();
  }
}
