import type { Kysely } from "kysely";
import type { Logger } from "pino";
import type { Activity, ActivityQuery } from "../domain/activity.ts";
import { Draining } from "../domain/errors.ts";
import type { Kind } from "../domain/kind.ts";
import { requestCancel } from "../domain/lifecycle.ts";
import type { Cancel } from "../domain/lifecycle.ts";
import { LIST_SESSIONS_MAX } from "../domain/limits.ts";
import type { VisibleTasks } from "../domain/principal.ts";
import type { SessionState } from "../domain/session.ts";
import { isTerminal } from "../domain/task.ts";
import type { Task, TaskRequest } from "../domain/task.ts";
import { NO_LIMITS } from "../domain/tenant-limits.ts";
import type { Limits } from "../domain/tenant-limits.ts";
import { countTapeBytes } from "../store/reports/task-counts.ts";
import type { Database } from "../store/schema.ts";
import { findOffer, listSessions } from "../store/session-queries.ts";
import type { Store } from "../store/database.ts";
import { readTask } from "../store/tasks/task-queries.ts";
import { untilAborted } from "../async/abort.ts";
import type { Reporting } from "./attempt/attempt-report.ts";
import { TaskControl } from "./attempt/task-control.ts";
import { CrashHandover } from "./cluster/crash-handover.ts";
import { Feed } from "./read/feed.ts";
import { followTape, readEvents, waitForEnd } from "./read/follow.ts";
import { openTapeSource } from "./read/tape-source.ts";
import type { TapeSource } from "./read/tape-source.ts";
import { followTasks, openFollowSource } from "./read/follow-tasks.ts";
import type { FollowSource } from "./read/follow-tasks.ts";
import { openFlushStore } from "./write/flush-store.ts";
import { Journal } from "./write/journal.ts";
import { KindDirectory } from "./cluster/kind-directory.ts";
import { KindHost } from "./attempt/kind-host.ts";
import { Membership } from "./cluster/membership.ts";
import { NamespaceUse } from "./cluster/namespace-use.ts";
import { countActivity, SharedActivity } from "./read/shared-activity.ts";
import type { EngineSettings } from "./engine-settings.ts";
import { EngineState } from "./engine-state.ts";
import { Starter } from "./starter.ts";
import { listTasks } from "./read/list-tasks.ts";
import { readCheckpoint, readOutcome } from "./read/task-outcome.ts";
import { Runner } from "./cluster/runner.ts";
import type { RunnerSurroundings } from "./cluster/runner.ts";
import { Runners } from "./cluster/runners.ts";
import type { FollowedPage, FollowTasksQuery, TapePage, TaskEngine, TaskOutcome, Worker } from "./api/task-engine.ts";
import { UNOBSERVED } from "./api/engine-observer.ts";
import type { EngineGauges, EngineObserver } from "./api/engine-observer.ts";
import { Workers } from "./worker/workers.ts";
import type { Send, WorkerHello } from "./api/worker-protocol.ts";
import type { SharedParts } from "./namespaces/shared-parts.ts";

/**
 * A namespace of the service without its endpoints. Stores tasks, runs the kinds of this process, and serves tapes.
 *
 *   startTask ─▶ journal ─▶ one commit ─▶ feed ─▶ followTape
 *       └▶ runner ─▶ a kind's code, here or at a worker ─▶ journal …
 */
export class Engine implements TaskEngine {
  readonly #db: Kysely<Database>;
  readonly #store: Store;
  readonly #kinds: ReadonlyMap<string, Kind>;
  readonly #settings: EngineSettings;
  readonly #state: EngineState;
  readonly #reporting: Reporting;
  readonly #source: TapeSource;
  readonly #journal: Journal;
  readonly #control: TaskControl;
  /** Runs this process's own kinds. */
  readonly #runner: Runner;
  readonly #runners: Runners;
  readonly #workers: Workers;
  readonly #followSource: FollowSource;
  readonly #directory: KindDirectory;
  readonly #starter: Starter;
  readonly #activity: SharedActivity;
  readonly #shared: SharedParts;
  /** Hands over tasks when an uncaught error ends the process. */
  readonly crashHandover: CrashHandover;
  readonly #withAvailability = (task: Task) => this.#directory.withAvailability(task);

  constructor({
    store,
    kinds,
    settings,
    observer = UNOBSERVED,
    log,
    shared,
  }: {
    store: Store;
    kinds: readonly Kind[];
    settings: EngineSettings;
    observer?: EngineObserver;
    log: Logger;
    /** What the engines of a process share. */
    shared: SharedParts;
  }) {
    // Reads for callers may be refused when all connections are in use. Work on accepted tasks has priority over them.
    const { db, priorityDb } = store;
    const { standby } = shared;
    const { namespace, crashesMax, limits, origin } = settings;
    const reporting: Reporting = { namespace, observer, log };
    const use = new NamespaceUse({ db: priorityDb, namespace, limits, shared, runningHere: () => this.#runners.busy });
    this.#runners = new Runners(() => use.room);
    const feed = new Feed((state) => this.#state.membership?.wakeups?.send(state));
    this.#db = db;
    this.#store = store;
    this.#kinds = new Map(kinds.map((kind) => [kind.name, kind]));
    this.#settings = settings;
    this.#state = new EngineState(settings.mayMove);
    this.#shared = shared;
    this.#reporting = reporting;
    this.#source = openTapeSource({ feed, namespace, opened: () => this.#opened(), priorityDb, standby });
    this.#followSource = openFollowSource({ db, namespace, feed, origin, withAvailability: this.#withAvailability });
    this.#journal = new Journal({ store: openFlushStore(priorityDb), feed, observer, log });
    this.#directory = new KindDirectory({
      own: this.#kinds,
      offerHere: (kind) => this.#runners.offerOf(kind),
      unknownKinds: settings.unknownKinds,
      readOffer: async (kind) => findOffer(this.#opened(), { namespace, kind }),
    });
    this.#activity = new SharedActivity((query) => countActivity({ db, standby, namespace }, query));
    const onFreeKey = (exclusiveKey: string) => this.#runners.onFreeKey(exclusiveKey);
    this.#control = new TaskControl({ db: priorityDb, feed, onFreeKey, ...reporting });
    this.#starter = new Starter({
      namespace,
      directory: this.#directory,
      runners: this.#runners,
      use,
      journal: this.#journal,
      feed,
      observer,
    });
    const surroundings: RunnerSurroundings = {
      ...reporting,
      db: priorityDb,
      feed,
      control: this.#control,
      journal: this.#journal,
      graceMs: settings.cancelGraceMs,
      crashesMax,
      room: () => use.room,
      isIdle: () => this.#state.membership?.isIdle ?? false,
      limits,
      readCheckpoint: (task) => readCheckpoint(priorityDb, task),
      readTapeBytes: (taskId) => countTapeBytes(priorityDb, taskId),
    };
    this.#runner = new Runner({
      ...surroundings,
      host: new KindHost({ kinds: this.#kinds, log }),
      kinds,
      budget: shared.budget,
    });
    const session = () => this.#state.membership?.session;
    this.crashHandover = new CrashHandover({ control: this.#control, runner: this.#runner, crashesMax, session });
    this.#workers = new Workers({ surroundings, runners: this.#runners, leaseMs: settings.leaseMs });
  }

  /** Joins the service, and starts to claim and run tasks, once. The schema must exist. @throws StoreUnavailable */
  async start(): Promise<void> {
    if (this.#state.hasStarted) return;
    await this.#shared.upkeep.begin();
    this.#state.membership = await Membership.join({
      store: this.#store,
      listener: this.#shared.listener,
      idle: this.#shared.idle,
      settings: this.#settings,
      kinds: this.#runner.offers,
      ownKinds: this.#kinds,
      feed: this.#source.feed,
      runner: this.#runner,
      runners: this.#runners,
      control: this.#control,
      observer: this.#reporting.observer,
      log: this.#reporting.log,
    });
    this.#state.hasStarted = true;
  }

  /**
   * Leaves the service. Runs no new tasks, and waits up to drainMs for the running tasks to end by themselves. Then
   * stops the code of the remaining tasks, and waits until each end is durable. Until then, starts are stored for other
   * processes to run, if there are other processes. Reads continue. Workers continue with their tasks, and reconnect to
   * this server or to another server.
   *
   * @param halt ends the wait, because the database may be unreachable or a statement may block. Other servers then end
   *   the remaining tasks as WORKER_LOST
   * @param reason what open followers get, if the process goes on without the engine
   */
  async stop({ drainMs, halt, reason }: { drainMs: number; halt: AbortSignal; reason?: Error }): Promise<void> {
    this.#state.isDraining = true;
    const membership = this.#state.membership;
    if (membership === null) return;
    const orHalt = (work: Promise<unknown>) => untilAborted(work, halt);
    this.#journal.giveUpOn(halt);
    const leave = membership.session.announceLeave();
    await orHalt(Promise.all([this.#runner.stopClaiming(), this.#workers.drain(), leave]));
    // A start that is still being stored runs its task after the commit. The engine must end that task too.
    await orHalt(this.#starter.whenIdle());
    await this.#runner.executor.whenIdle(drainMs);
    await orHalt(this.#runner.executor.stopAll("shutdown", halt));
    await orHalt(this.#workers.close());
    this.#state.isStopped = true;
    await orHalt(this.#journal.stop());
    if (reason !== undefined) this.#source.feed.end(reason);
    this.#state.membership = null;
    await orHalt(membership.leave());
  }

  async startTask(request: TaskRequest, limits: Limits = NO_LIMITS): ReturnType<TaskEngine["startTask"]> {
    this.#state.assertJoined();
    const { task, alreadyStarted } = await this.#starter.start(request, limits);
    return { task: await this.#withAvailability(task), alreadyStarted };
  }

  async getTask(taskId: string, only?: VisibleTasks): ReturnType<TaskEngine["getTask"]> {
    return this.#withAvailability(await this.#readTask(taskId, only));
  }

  #readTask(taskId: string, only?: VisibleTasks): Promise<Task> {
    return readTask(this.#opened(), { namespace: this.#reporting.namespace, taskId, only });
  }

  async listTasks(filter: Parameters<TaskEngine["listTasks"]>[0]): ReturnType<TaskEngine["listTasks"]> {
    const { namespace } = this.#settings;
    const { standby } = this.#shared;
    return listTasks({ db: this.#opened(), standby, namespace, withAvailability: this.#withAvailability }, filter);
  }

  async getActivity(query: ActivityQuery): Promise<Activity> {
    this.#opened();
    return this.#activity.read(query);
  }

  async connectWorker(hello: WorkerHello, send: Send): Promise<Worker> {
    this.#state.assertJoined();
    if (this.#state.isDraining) throw new Draining();
    return this.#workers.connect(hello, send);
  }

  async listSessions(): Promise<{ sessions: SessionState[]; hasMore: boolean }> {
    return listSessions(this.#opened(), { namespace: this.#settings.namespace, limit: LIST_SESSIONS_MAX });
  }

  async cancelTask(taskId: string, cancel: Cancel): ReturnType<TaskEngine["cancelTask"]> {
    this.#opened();
    const { task: stored, transition } = await this.#control.change(taskId, "cancel", (task) =>
      requestCancel(task, cancel),
    );
    const ended = transition?.type === "end" ? "cancelled" : "already_terminal";
    const outcome = isTerminal(stored.status) ? ended : "requested";
    if (outcome === "requested") this.#runners.stop(taskId, "cancel");
    this.#reporting.observer.cancelAsked(stored.kind, outcome);
    return { task: await this.#withAvailability(stored), outcome };
  }

  async deleteTask(taskId: string, by: string | null): ReturnType<TaskEngine["deleteTask"]> {
    this.#opened();
    const { alreadyDeleted } = await this.#control.remove(taskId, by);
    if (!alreadyDeleted) this.#state.membership?.removals.kick();
    return { alreadyDeleted };
  }

  readEvents(query: Parameters<TaskEngine["readEvents"]>[0], signal: AbortSignal): Promise<TapePage> {
    return readEvents(this.#source, query, signal);
  }

  followTape(query: Parameters<TaskEngine["followTape"]>[0], signal: AbortSignal): AsyncIterable<TapePage> {
    return followTape(this.#source, query, signal);
  }

  async *followTasks(query: FollowTasksQuery, signal: AbortSignal): AsyncGenerator<FollowedPage> {
    this.#opened();
    yield* followTasks(this.#followSource, query, signal);
  }

  async waitForResult(query: { taskId: string; waitMs: number }, signal: AbortSignal): Promise<TaskOutcome> {
    const task = await waitForEnd(this.#source.feed, () => this.#readTask(query.taskId), query, signal);
    return readOutcome(this.#db, this.#settings.namespace, task);
  }

  gauges(): EngineGauges {
    return {
      ...this.#runners.gauges(),
      workers: this.#workers.count,
      removalOverdueMs: this.#state.membership?.retention.overdueMs ?? 0,
      ...this.#source.feed.gauges(),
      ...this.#source.stored.gauges(),
    };
  }

  /** Returns the database. @throws StoreUnavailable: see EngineState.assertReadable */
  #opened(): Kysely<Database> {
    this.#state.assertReadable();
    return this.#db;
  }
}
