import type { Logger } from "pino";
import type { Kind } from "../../domain/kind.ts";
import type { RetentionSettings } from "../../domain/retention.ts";
import type { KindOffer } from "../../domain/session.ts";
import type { Store } from "../../store/database.ts";
import { awaitWorkers } from "../../store/session-queries.ts";
import { registerHookedKinds } from "../../store/tasks/removal-hooks.ts";
import type { TaskControl } from "../attempt/task-control.ts";
import type { Feed } from "../read/feed.ts";
import { TapePoller } from "./tape-poller.ts";
import type { IdleNamespaces, IdleWatch } from "./idle-namespaces.ts";
import type { Runner } from "./runner.ts";
import type { Runners } from "./runners.ts";
import { RENEWALS, Session } from "./session.ts";
import { ExportingSweeper } from "../maintenance/exporting-sweeper.ts";
import { RemovalHooks } from "../maintenance/removal-hooks.ts";
import { RemovalSweeper } from "../maintenance/removal-sweeper.ts";
import { RetentionSweeper } from "../maintenance/retention-sweeper.ts";
import { Sweeper } from "../maintenance/sweeper.ts";
import { TapePacker } from "../maintenance/tape-packer.ts";
import type { WakeupListener } from "./wakeup-listener.ts";
import { Wakeups } from "./wakeups.ts";
import type { EngineObserver } from "../api/engine-observer.ts";
import type { RemovalArchive } from "../api/removal-archive.ts";

export interface MembershipSettings extends RetentionSettings {
  namespace: string;
  /** How long code may run on after it was asked to stop, in ms. */
  cancelGraceMs: number;
  /** Lease duration in ms. After it expires, other servers may take the tasks of a dead process. */
  leaseMs: number;
  /** After how many consecutive process deaths during its attempts a task ends, whatever attempts it has left. */
  crashesMax: number;
  /** Where tasks are written before their retention removes them. null: nowhere. */
  removalArchive?: RemovalArchive | null;
  /** How long after its end a tape is packed, in ms. null: never. */
  packAfter: number | null;
}

interface MembershipParts {
  store: Store;
  /** null: servers do not notify each other. */
  listener: WakeupListener | null;
  idle: IdleNamespaces;
  settings: MembershipSettings;
  kinds: readonly KindOffer[];
  /** The kinds of this process, by their names. */
  ownKinds: ReadonlyMap<string, Kind>;
  feed: Feed;
  /** The runner of this process's own kinds, in addition to those of its workers. */
  runner: Runner;
  runners: Runners;
  control: TaskControl;
  observer: EngineObserver;
  log: Logger;
}

/**
 * The membership of this server in a namespace: its session, and the loops that take over tasks of dead processes and
 * follow the commits of other servers. There is no leader: every server runs the same loops, and every write is fenced.
 */
export class Membership {
  readonly session: Session;
  readonly wakeups: Wakeups | null;
  readonly removals: RemovalSweeper;
  readonly retention: RetentionSweeper | ExportingSweeper;
  readonly #runner: Runner;
  readonly #runners: Runners;
  readonly #sweeper: Sweeper;
  readonly #idle: IdleNamespaces;
  readonly #watch: IdleWatch;
  readonly #loops: readonly { start(): void; stop(): Promise<void> }[];

  private constructor(session: Session, parts: MembershipParts) {
    const { store, listener, settings, feed, runner, runners, control, observer, log } = parts;
    const { priorityDb: db, url } = store;
    const { namespace } = settings;
    const hasPeers = () => session.hasPeers;
    const maySweep = () => session.maySweep;
    this.#idle = parts.idle;
    this.#watch = parts.idle.watch(namespace, () => {
      runners.poll();
      sweeper.kick();
    });
    const hasNo = (work: "removals" | "retained") => () => !this.#watch.mayHave(work);
    const sweeper = new Sweeper({
      db,
      namespace,
      control,
      graceMs: settings.cancelGraceMs,
      crashesMax: settings.crashesMax,
      maySweep,
      onUnblocked: (kinds) => kinds.forEach((kind) => runners.onWaiting(kind)),
      isIdle: () => this.isIdle && !this.#watch.mayHave("sessions"),
      log,
    });
    const isRunningHere = (taskId: string) => runners.has(taskId);
    const poller = new TapePoller({ db, feed, isRunningHere, hasPeers, log });
    this.session = session;
    this.removals = new RemovalSweeper({ db, namespace, log, isIdle: hasNo("removals") });
    const isEmbedded = url === null;
    const { removalArchive: archive = null } = settings;
    this.retention =
      archive === null
        ? new RetentionSweeper({
            db,
            namespace,
            isEmbedded,
            settings,
            hasNoRetained: hasNo("retained"),
            feed,
            observer,
            log,
          })
        : new ExportingSweeper({ store, namespace, settings, archive, feed, observer, log });
    this.#sweeper = sweeper;
    this.#runner = runner;
    this.#runners = runners;
    this.wakeups =
      listener === null
        ? null
        : new Wakeups({
            db,
            listener,
            namespace,
            observer,
            log,
            hasPeers,
            onPeer: () => session.onPeer(),
            onStates: (states) => {
              for (const { status, ...position } of states) {
                if (status === "removed") feed.observeRemoval(position.taskId);
                else feed.observe({ ...position, status });
              }
              feed.notifyAll();
              runners.onTouchedTasks(states.map(({ taskId }) => taskId));
              if (!states.some(({ status }) => status === "pending")) return;
              // In an idle namespace, no poll finds the tasks to validate.
              if (this.isIdle) runners.poll();
              else runners.onWaiting();
            },
            onCaughtUp() {
              poller.kick();
              runners.onTouched();
              runners.onWaiting();
            },
          });
    const { packAfter: afterMs } = settings;
    const packer = afterMs === null ? [] : [new TapePacker({ db, namespace, afterMs, observer, log })];
    const hooks = hookedKinds(parts).map((kind) => new RemovalHooks({ db, namespace, kind, log }));
    const wakeups = this.wakeups === null ? [] : [this.wakeups];
    this.#loops = [...hooks, sweeper, this.removals, this.retention, ...packer, poller, ...wakeups];
  }

  /** Opens the session and starts the loops. @throws StoreUnavailable */
  static async join(parts: MembershipParts): Promise<Membership> {
    const { store, settings, kinds, runner, runners, log } = parts;
    const hooked = hookedKinds(parts).map(({ name }) => name);
    await registerHookedKinds(store.priorityDb, { namespace: settings.namespace, kinds: hooked });
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
        await session.stopRenewing();
        throw error;
      },
    );
    const membership = new Membership(session, parts);
    for (const loop of membership.#loops) loop.start();
    runner.start(session);
    runners.add(runner);
    return membership;
  }

  /** Whether the last check has found no task that waits or runs. */
  get isIdle(): boolean {
    return !this.#watch.mayHave("tasks");
  }

  /** Stops the loops and closes the session. Takes the tasks that it still owned: there may be no other server. */
  async leave(): Promise<void> {
    this.#runners.remove(this.#runner);
    const watched = this.#idle.leave(this.#watch);
    await Promise.all([this.#runner.stop(), watched, ...this.#loops.map((loop) => loop.stop())]);
    const { id } = this.session;
    await this.session.close();
    await this.#sweeper.takeLeftBy(id);
  }
}

function hookedKinds({ ownKinds }: Pick<MembershipParts, "ownKinds">): Kind[] {
  return [...ownKinds.values()].filter(({ onRemoved }) => onRemoved !== undefined);
}
