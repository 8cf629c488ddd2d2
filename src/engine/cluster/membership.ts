import type { Logger } from "pino";
import type { KindOffer } from "../../domain/session.ts";
import type { Store } from "../../store/database.ts";
import { awaitWorkers, expireServerSessions } from "../../store/session-queries.ts";
import type { TaskControl } from "../attempt/task-control.ts";
import type { Feed } from "../read/feed.ts";
import { TapePoller } from "./tape-poller.ts";
import type { Runner } from "./runner.ts";
import type { Runners } from "./runners.ts";
import { RENEWALS, Session } from "./session.ts";
import { Sweeper } from "../maintenance/sweeper.ts";
import { Wakeups } from "./wakeups.ts";
import type { EngineObserver } from "../api/engine-metrics.ts";

export interface MembershipSettings {
  namespace: string;
  /** How long code may go on after it was told to stop. */
  cancelGraceMs: number;
  /** How long after its death a process's tasks become anybody's. */
  leaseMs: number;
  /** How many attempts of a task in a row may end with their process, before the task does. */
  crashesMax: number;
  /** Whether processes tell each other of their commits; without it they find out by looking, once a second. */
  notify: boolean;
}

interface MembershipParts {
  store: Store;
  settings: MembershipSettings;
  kinds: readonly KindOffer[];
  feed: Feed;
  /** This process's own, among all that run tasks through it. */
  runner: Runner;
  runners: Runners;
  control: TaskControl;
  observer: EngineObserver;
  log: Logger;
}

/**
 * This process as one of those that serve a namespace: its session, and the loops that take over from the dead and keep
 * up with what the others do. There is no leader; each does its part, and every write is fenced.
 */
export class Membership {
  readonly session: Session;
  readonly wakeups: Wakeups | null;
  readonly #runner: Runner;
  readonly #runners: Runners;
  readonly #sweeper: Sweeper;
  readonly #loops: readonly { start(): void; stop(): Promise<void> }[];

  private constructor(session: Session, parts: MembershipParts) {
    const { store, settings, feed, runner, runners, control, observer, log } = parts;
    const { priorityDb: db, url } = store;
    const { namespace } = settings;
    const hasPeers = () => session.hasPeers;
    const maySweep = () => session.maySweep;
    const sweeper = new Sweeper({
      db,
      namespace,
      control,
      graceMs: settings.cancelGraceMs,
      crashesMax: settings.crashesMax,
      maySweep,
      onUnblocked: (kinds) => kinds.forEach((kind) => runners.onWaiting(kind)),
      log,
    });
    const isRunningHere = (taskId: string) => runners.has(taskId);
    const poller = new TapePoller({ db, feed, isRunningHere, hasPeers, log });
    this.session = session;
    this.#sweeper = sweeper;
    this.#runner = runner;
    this.#runners = runners;
    this.wakeups =
      url === null || !settings.notify
        ? null
        : new Wakeups({
            db,
            url,
            namespace,
            observer,
            log,
            hasPeers,
            onPeer: () => session.onPeer(),
            onStates(states) {
              for (const state of states) feed.observe(state);
              feed.notifyAll();
              runners.onTouchedTasks(states.map(({ taskId }) => taskId));
              if (states.some(({ status }) => status === "pending")) runners.onWaiting();
            },
            onCaughtUp() {
              poller.kick();
              runners.onTouched();
              runners.onWaiting();
            },
          });
    this.#loops = [sweeper, poller, ...(this.wakeups === null ? [] : [this.wakeups])];
  }

  /** Opens the session and starts the loops. @throws StoreUnavailable */
  static async join(parts: MembershipParts): Promise<Membership> {
    const { store, settings, kinds, runner, runners, log } = parts;
    // Nobody else can have this database open: what earlier processes owned need not wait for their lease to run out.
    if (store.exclusive) await expireServerSessions(store.priorityDb);
    const session = await Session.open({
      db: store.priorityDb,
      namespace: settings.namespace,
      kinds,
      capacity: runner.executor.slots,
      leaseMs: settings.leaseMs,
      log,
      onLost() {
        parts.observer.sessionLost("server");
        void runner.executor.stopAll("lost");
      },
    });
    const { namespace, leaseMs } = settings;
    const times = { waitMs: Math.ceil(leaseMs / 2), silentMs: Math.ceil((1.5 * leaseMs) / RENEWALS) };
    await awaitWorkers(store.priorityDb, { namespace, sessionId: session.id, ...times }).catch(
      async (error: unknown) => {
        await session.leave();
        throw error;
      },
    );
    const membership = new Membership(session, parts);
    for (const loop of membership.#loops) loop.start();
    runner.start(session);
    runners.add(runner);
    return membership;
  }

  /** Ends the loops and the session. What it owned still is taken now: there may be no other process that would. */
  async leave(): Promise<void> {
    this.#runners.remove(this.#runner);
    await Promise.all([this.#runner.stop(), ...this.#loops.map((loop) => loop.stop())]);
    const { id } = this.session;
    await this.session.close();
    await this.#sweeper.takeLeftBy(id);
  }
}
