import type { Logger } from "pino";
import { NamespaceNotFound, NamespaceUnavailable, StoreUnavailable } from "../../domain/errors.ts";
import type { ShardEntry } from "../../domain/shard.ts";
import type { Limits } from "../../domain/tenant-limits.ts";
import type { AttemptRef } from "../../telemetry/attempt-context.ts";
import { untilAborted } from "../../async/abort.ts";
import { within } from "../../async/time-limit.ts";
import type { EngineGauges } from "../api/engine-observer.ts";
import type { Engine } from "../engine.ts";
import { NEVER_MOVED } from "../read/follow-origin.ts";
import type { FollowOrigin } from "../read/follow-origin.ts";
import { NamespaceDirectory } from "./namespace-directory.ts";
import type { Place } from "./namespace-directory.ts";
import { Shards } from "./shards.ts";
import type { Shard } from "./shards.ts";
import { sumGauges } from "./sum-gauges.ts";

/** How long to wait for new namespaces to be served. */
const JOIN_WAIT_MS = 5_000;
/** How long an engine may take to leave beyond its drain time and the grace of its tasks. */
const LEAVE_MARGIN_MS = 5_000;

/** An engine that is open, and what it needs besides the store. */
export interface OpenedEngine {
  engine: Engine;
  /** Releases what the kinds of the engine hold. Never throws. */
  close(): Promise<void>;
}

/** Opens the engine of a namespace on a shard. The engine has not started yet. */
export type OpenEngine = (namespace: string, shard: Shard, origin: FollowOrigin) => Promise<OpenedEngine>;

/** An engine, with its place when it was opened. */
interface Served extends OpenedEngine {
  shard: Shard;
  /** The shard before, which followers of many tasks may still read. */
  before: Shard | undefined;
  /** How often the namespace had been moved. */
  generation: number;
}

/**
 * The engines of a server: one for each namespace of the service and one for the namespace of the server's settings, each
 * on the shard that its namespace lives on. A namespace that is created or moved later gets its engine without a restart.
 */
export class Engines {
  readonly defaultNamespace: string;
  readonly shards: Shards;
  readonly #open: OpenEngine;
  readonly #settings: LeaveSettings;
  readonly #directory: NamespaceDirectory;
  readonly #log: Logger;
  readonly #served = new Map<string, Served>();
  /** Namespaces whose engine is being opened, or leaves a shard. */
  readonly #changing = new Map<string, Promise<void>>();
  /** Namespaces that could not be served, with the reason. */
  readonly #failures = new Map<string, unknown>();
  readonly #stopped = new AbortController();

  private constructor({ defaultNamespace, shards, open, settings, log }: EnginesParts, opened: OpenedEngine) {
    this.defaultNamespace = defaultNamespace;
    this.shards = shards;
    this.#open = open;
    this.#settings = settings;
    this.#log = log;
    const { generation } = NEVER_MOVED;
    this.#served.set(defaultNamespace, { ...opened, shard: shards.home, before: undefined, generation });
    const { priorityDb: db } = shards.home.parts.store;
    this.#directory = new NamespaceDirectory({ db, onRead: (entries) => this.#apply(entries), log });
  }

  /** Opens the engine of the default namespace, on the first shard. @throws what opening throws */
  static async open(parts: EnginesParts): Promise<Engines> {
    return new Engines(parts, await parts.open(parts.defaultNamespace, parts.shards.home, NEVER_MOVED));
  }

  /** @throws NamespaceNotFound, NamespaceUnavailable; StoreUnavailable before the namespaces are known */
  of(namespace: string): Engine {
    const served = this.#served.get(namespace);
    if (served !== undefined) return served.engine;
    if (!this.#directory.isRead) throw new StoreUnavailable(new Error("the namespaces were not read yet"));
    if (!this.#isKnown(namespace)) throw new NamespaceNotFound(namespace);
    const { shard, isMoving } = this.#directory.placeOf(namespace);
    if (isMoving) throw new NamespaceUnavailable(namespace, "is being moved to another shard");
    const cause = this.#failures.get(namespace);
    if (cause === undefined) throw new NamespaceUnavailable(namespace, "is being opened");
    throw new NamespaceUnavailable(namespace, `cannot be served from its shard ${shard}`, { cause });
  }

  /** Returns the limits of a namespace, as of the last read: at most a few seconds ago while the database answers. */
  limitsOf(namespace: string): Limits {
    return this.#directory.limitsOf(namespace);
  }

  /** The namespaces that this server serves. */
  get namespaces(): string[] {
    return [...this.#served.keys()];
  }

  /** The number of namespaces that this server cannot serve now. */
  get unserved(): number {
    return this.#directory.names.filter((namespace) => !this.#served.has(namespace)).length;
  }

  /** Returns the namespaces that this server serves from a shard. */
  namespacesOn(shard: Shard): string[] {
    return [...this.#served].flatMap(([namespace, served]) => (served.shard === shard ? [namespace] : []));
  }

  /**
   * Joins the service in all namespaces. The schema of the first shard must exist. Waits a moment for the other shards,
   * which may be down. Idempotent.
   *
   * @throws StoreUnavailable
   */
  async start(): Promise<void> {
    await this.#directory.read();
    const first = this.#served.get(this.defaultNamespace);
    if (first?.shard === this.shards.home) await first.engine.start();
    await within(Promise.all(this.#changing.values()), JOIN_WAIT_MS);
    this.#directory.start();
  }

  /** Reads the namespaces, and waits a moment for one of them to be served. @throws StoreUnavailable */
  async refresh(namespace: string): Promise<void> {
    await this.#directory.read();
    await within(this.#changing.get(namespace) ?? Promise.resolve(), JOIN_WAIT_MS);
  }

  #isKnown(namespace: string): boolean {
    return namespace === this.defaultNamespace || this.#directory.has(namespace);
  }

  /** Serves every namespace from its shard. */
  async #apply(entries: readonly ShardEntry[]): Promise<void> {
    await this.shards.update(entries);
    for (const namespace of new Set([this.defaultNamespace, ...this.#directory.names])) void this.#serve(namespace);
    await this.shards.closeLeft((shard) =>
      this.#all.some((served) => served.shard === shard || served.before === shard),
    );
  }

  /** Serves a namespace from its shard. Never rejects: the next read of the directory tries again. */
  #serve(namespace: string): Promise<void> {
    const changing = this.#changing.get(namespace);
    if (changing !== undefined) return changing;
    const served = this.#served.get(namespace);
    const place = this.#directory.placeOf(namespace);
    const shard = this.shards.get(place.shard);
    const isRight = place.isMoving
      ? served === undefined
      : served !== undefined && served.shard === shard && served.generation === place.generation;
    if (this.#stopped.signal.aborted || isRight) return Promise.resolve();
    const changed = this.#change(namespace, served, place)
      .catch((error: unknown) => {
        if (this.#stopped.signal.aborted) return;
        const isNew = !this.#failures.has(namespace);
        this.#failures.set(namespace, error);
        // One line for an outage, not one for each try.
        if (isNew)
          this.#log.error({ err: error, of: namespace, shard: place.shard }, "namespaces: join failed, retrying");
      })
      .finally(() => this.#changing.delete(namespace));
    this.#changing.set(namespace, changed);
    return changed;
  }

  async #change(namespace: string, served: Served | undefined, place: Place): Promise<void> {
    if (served !== undefined) await this.#leave(namespace, served);
    if (place.isMoving) return;
    const shard = this.shards.get(place.shard);
    if (shard === undefined) throw new Error("the shard is not open");
    await shard.inTurn(() => this.#join(namespace, shard, place));
    this.#failures.delete(namespace);
    this.#log.info({ of: namespace, shard: shard.name }, "namespaces: joined");
  }

  async #join(namespace: string, shard: Shard, { generation, before: left }: Place): Promise<void> {
    this.#stopped.signal.throwIfAborted();
    await shard.parts.prepare();
    const before = left === null ? undefined : this.shards.get(left.shard);
    const origin: FollowOrigin = {
      generation,
      before: before === undefined ? null : { db: before.parts.store.db, opening: left!.opening },
    };
    const opened = await this.#open(namespace, shard, origin);
    try {
      await opened.engine.start();
      this.#stopped.signal.throwIfAborted();
      this.#served.set(namespace, { ...opened, shard, before, generation });
    } catch (error) {
      await opened.engine.stop({ drainMs: 0, halt: AbortSignal.timeout(LEAVE_MARGIN_MS) });
      await opened.close();
      throw error;
    }
  }

  /** Stops the engine of a namespace that leaves its shard, as a server stops, and ends its streams: callers come back. */
  async #leave(namespace: string, { engine, close, shard }: Served): Promise<void> {
    this.#served.delete(namespace);
    const reason = new NamespaceUnavailable(namespace, "moves to another shard");
    const { drainMs, cancelGraceMs } = this.#settings;
    const halt = AbortSignal.timeout(drainMs + cancelGraceMs + LEAVE_MARGIN_MS);
    await engine.stop({ drainMs, halt, reason });
    await close();
    this.#log.info({ of: namespace, shard: shard.name }, "namespaces: left");
  }

  /** Leaves the service in all namespaces at once, each as Engine.stop does. */
  async stop({ drainMs, halt }: { drainMs: number; halt: AbortSignal }): Promise<void> {
    this.#stopped.abort();
    await untilAborted(Promise.all([this.#directory.stop(), ...this.#changing.values()]), halt);
    const left = await Promise.allSettled(this.#all.map(({ engine }) => engine.stop({ drainMs, halt })));
    await untilAborted(Promise.all(this.shards.all.map(({ parts }) => parts.shared.upkeep.stop())), halt);
    const failure = left.find((outcome) => outcome.status === "rejected");
    if (failure !== undefined) throw failure.reason;
  }

  /** Releases what the kinds hold, and closes the shards besides the first one. Call it after the stop. */
  async close(): Promise<void> {
    await Promise.all(this.#all.map((opened) => opened.close()));
    await this.shards.close();
  }

  /** Returns the attempts whose code runs in this process. */
  running(): AttemptRef[] {
    return this.#all.flatMap(({ engine }) => engine.crashHandover.running());
  }

  /** Hands over the tasks of all namespaces: see CrashHandover. @throws StoreUnavailable */
  async handOver(culprit: AttemptRef, error: unknown): Promise<void> {
    const isCulprits = ({ engine }: OpenedEngine) =>
      engine.crashHandover.running().some(({ taskId }) => taskId === culprit.taskId);
    const owner = this.#all.find(isCulprits) ?? this.#all[0];
    const handed = await Promise.allSettled(
      this.#all.map((opened) => opened.engine.crashHandover.handOver(opened === owner ? culprit : null, error)),
    );
    const failure = handed.find((outcome) => outcome.status === "rejected");
    if (failure !== undefined) throw failure.reason;
  }

  gauges(): EngineGauges {
    return sumGauges(this.#all.map(({ engine }) => engine.gauges()));
  }

  get #all(): Served[] {
    return [...this.#served.values()];
  }
}

interface EnginesParts {
  /** The namespace of the server's settings, which needs no row in the table of namespaces. */
  defaultNamespace: string;
  shards: Shards;
  open: OpenEngine;
  settings: LeaveSettings;
  log: Logger;
}

/** How long the tasks of a namespace that leaves its shard may continue, in ms: see Engine.stop. */
interface LeaveSettings {
  drainMs: number;
  cancelGraceMs: number;
}
