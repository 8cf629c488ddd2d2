import type { Logger } from "pino";
import type { Kind } from "../domain/kind.ts";
import type { Store } from "../store/database.ts";
import { closeAllSessions } from "../store/session-queries.ts";
import { Claimer } from "./claimer.ts";
import type { Control } from "./control.ts";
import type { Executor } from "./executor.ts";
import type { Feed } from "./feed.ts";
import { Observer } from "./observer.ts";
import { Reconciler } from "./reconciler.ts";
import { Session } from "./session.ts";
import { Sweeper } from "./sweeper.ts";
import { Wakeups } from "./wakeups.ts";

export interface MembershipSettings {
  namespace: string;
  /** How long code may go on after it was told to stop. */
  cancelGraceMs: number;
  /** How long after its death a process's tasks become anybody's. */
  leaseMs: number;
  /** Whether processes tell each other of their commits; without it they find out by looking, once a second. */
  notify: boolean;
}

interface MembershipParts {
  store: Store;
  settings: MembershipSettings;
  kinds: readonly Kind[];
  feed: Feed;
  executor: Executor;
  control: Control;
  log: Logger;
}

/**
 * This process as one of those that serve a namespace: its session, and the loops that take waiting tasks, take over
 * from the dead, and keep up with what the others do. There is no leader; each does its part, and every write is fenced.
 */
export class Membership {
  readonly session: Session;
  readonly claimer: Claimer;
  readonly wakeups: Wakeups | null;
  readonly #loops: readonly { start(): void; stop(): Promise<void> }[];

  private constructor(session: Session, parts: MembershipParts) {
    const { store, settings, feed, executor, control, log } = parts;
    const { db, url } = store;
    const { namespace } = settings;
    const lease = () => session.id;
    const isFresh = () => session.isFresh;
    const maySweep = () => session.maySweep;
    const claimer = new Claimer({
      db,
      namespace,
      kinds: parts.kinds.map(({ name }) => name),
      lease,
      isFresh,
      executor,
      feed,
      log,
    });
    const sweeper = new Sweeper({ db, control, graceMs: settings.cancelGraceMs, maySweep, log });
    const reconciler = new Reconciler({ db, executor, lease, log });
    const observer = new Observer({ db, feed, executor, hasPeers: () => session.hasPeers, log });
    this.session = session;
    this.claimer = claimer;
    this.wakeups =
      url === null || !settings.notify
        ? null
        : new Wakeups({
            db,
            url,
            namespace,
            log,
            hasPeers: () => session.hasPeers,
            onPeer: () => session.onPeer(),
            onStates(states) {
              for (const state of states) feed.observe(state);
              if (states.some(({ taskId }) => executor.has(taskId))) reconciler.onTouched();
              if (states.some(({ status }) => status === "pending")) claimer.onWaiting();
            },
            onCaughtUp() {
              observer.kick();
              reconciler.onTouched();
              claimer.onWaiting();
            },
          });
    this.#loops = [sweeper, reconciler, observer, ...(this.wakeups === null ? [] : [this.wakeups])];
  }

  /** Opens the session and starts the loops. @throws StoreUnavailable */
  static async join(parts: MembershipParts): Promise<Membership> {
    const { store, settings, executor, log } = parts;
    // Nobody else can have this database open: what earlier processes owned need not wait for their lease to run out.
    if (store.exclusive) await closeAllSessions(store.db);
    const session = await Session.open({
      db: store.db,
      namespace: settings.namespace,
      kinds: parts.kinds.map(({ name, retry, isExclusive }) => ({ name, retry, isExclusive })),
      capacity: executor.slots,
      leaseMs: settings.leaseMs,
      log,
      onLost: () => void executor.stopAll("lost"),
    });
    const membership = new Membership(session, parts);
    for (const loop of [membership.claimer, ...membership.#loops]) loop.start();
    return membership;
  }

  /** Takes no more waiting tasks. What runs here keeps its session. */
  stopClaiming(): Promise<void> {
    return this.claimer.stop();
  }

  /** Ends the loops and the session: what it owned still is anybody's. */
  async leave(): Promise<void> {
    await Promise.all(this.#loops.map((loop) => loop.stop()));
    await this.session.close();
  }
}
