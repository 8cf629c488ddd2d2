import type { Kysely } from "kysely";
import pLimit from "p-limit";
import type { Logger } from "pino";
import { NamespaceNotFound, StoreUnavailable } from "../../domain/errors.ts";
import type { Limits } from "../../domain/tenant-limits.ts";
import type { Database } from "../../store/schema.ts";
import type { AttemptRef } from "../../telemetry/attempt-context.ts";
import { untilAborted } from "../../async/abort.ts";
import { retryWhile } from "../../async/retry.ts";
import type { EngineGauges } from "../api/engine-observer.ts";
import type { Engine } from "../engine.ts";
import { NamespaceDirectory } from "./namespace-directory.ts";
import type { SharedParts } from "./shared-parts.ts";
import { sumGauges } from "./sum-gauges.ts";

/** How many namespaces join at once: few, so that calls get connections meanwhile. */
const MAX_CONCURRENT_JOINS = 4;

/** An engine that is open, and what it needs besides the store. */
export interface OpenedEngine {
  engine: Engine;
  /** Releases what the kinds of the engine hold. Never throws. */
  close(): Promise<void>;
}

/** Opens the engine of a namespace, which has not started yet. */
export type OpenEngine = (namespace: string) => Promise<OpenedEngine>;

/**
 * The engines of a server: one for the namespace of its settings, and one for each namespace of the service. A
 * namespace that is created later gets its engine without a restart. No namespace is ever removed.
 */
export class Engines {
  readonly defaultNamespace: string;
  readonly #default: OpenedEngine;
  readonly #open: OpenEngine;
  readonly #shared: SharedParts;
  readonly #directory: NamespaceDirectory;
  readonly #log: Logger;
  readonly #opened = new Map<string, OpenedEngine>();
  /** Namespaces whose engine is being opened, or joins. */
  readonly #joining = new Map<string, Promise<void>>();
  readonly #inTurn = pLimit(MAX_CONCURRENT_JOINS);
  readonly #stopped = new AbortController();

  private constructor(parts: EnginesParts, opened: OpenedEngine) {
    this.defaultNamespace = parts.defaultNamespace;
    this.#default = opened;
    this.#open = parts.open;
    this.#shared = parts.shared;
    this.#log = parts.log;
    this.#opened.set(parts.defaultNamespace, opened);
    this.#directory = new NamespaceDirectory({
      db: parts.db,
      onRead: (names) => {
        for (const name of names) void this.#serve(name);
      },
      log: parts.log,
    });
  }

  /** Opens the engine of the default namespace. @throws what opening throws */
  static async open(parts: EnginesParts): Promise<Engines> {
    return new Engines(parts, await parts.open(parts.defaultNamespace));
  }

  /** @throws NamespaceNotFound; StoreUnavailable before the namespaces are known, and while the engine is being opened */
  of(namespace: string): Engine {
    const opened = this.#opened.get(namespace);
    if (opened !== undefined) return opened.engine;
    if (!this.#directory.isRead) throw new StoreUnavailable(new Error("the namespaces were not read yet"));
    if (!this.#directory.has(namespace)) throw new NamespaceNotFound(namespace);
    throw new StoreUnavailable(new Error("the namespace is being opened"));
  }

  /** Returns the limits of a namespace, as of the last read: at most a few seconds ago while the database answers. */
  limitsOf(namespace: string): Limits {
    return this.#directory.limitsOf(namespace);
  }

  /** The namespaces that this server serves. */
  get namespaces(): string[] {
    return [...this.#opened.keys()];
  }

  /**
   * Joins the service in all namespaces. The schema must exist. Idempotent.
   *
   * @throws StoreUnavailable
   */
  async start(): Promise<void> {
    await this.#default.engine.start();
    await this.refresh();
    this.#directory.start();
  }

  /** Reads the namespaces, and joins those that this server does not serve yet. @throws StoreUnavailable */
  async refresh(): Promise<void> {
    await this.#directory.read();
    await Promise.all(this.#joining.values());
  }

  /** Opens and starts the engine of a namespace, once. Never rejects. */
  #serve(namespace: string): Promise<void> {
    const joining = this.#joining.get(namespace);
    if (joining !== undefined) return joining;
    if (this.#opened.has(namespace) || this.#stopped.signal.aborted) return Promise.resolve();
    const joined = this.#inTurn(() => this.#join(namespace))
      .catch((error: unknown) => {
        // The next read of the namespaces tries again.
        const isStopped = this.#stopped.signal.aborted;
        if (!isStopped) this.#log.error({ err: error, of: namespace }, "namespaces: join failed, retrying");
      })
      .finally(() => this.#joining.delete(namespace));
    this.#joining.set(namespace, joined);
    return joined;
  }

  async #join(namespace: string): Promise<void> {
    const { signal } = this.#stopped;
    signal.throwIfAborted();
    const opened = await this.#open(namespace);
    try {
      const isTransient = (error: unknown) => error instanceof StoreUnavailable;
      await retryWhile(isTransient, () => opened.engine.start(), { signal });
      this.#opened.set(namespace, opened);
      this.#log.info({ of: namespace }, "namespaces: joined");
    } catch (error) {
      await opened.close();
      throw error;
    }
  }

  /** Leaves the service in all namespaces at once, each as Engine.stop does. */
  async stop({ drainMs, halt }: { drainMs: number; halt: AbortSignal }): Promise<void> {
    this.#stopped.abort();
    await untilAborted(Promise.all([this.#directory.stop(), ...this.#joining.values()]), halt);
    const left = await Promise.allSettled(this.#all.map(({ engine }) => engine.stop({ drainMs, halt })));
    await untilAborted(this.#shared.upkeep.stop(), halt);
    const failure = left.find((outcome) => outcome.status === "rejected");
    if (failure !== undefined) throw failure.reason;
  }

  /** Releases what the kinds hold, after the stop. */
  async close(): Promise<void> {
    await Promise.all(this.#all.map((opened) => opened.close()));
  }

  /** Returns the attempts whose code runs in this process. */
  running(): AttemptRef[] {
    return this.#all.flatMap(({ engine }) => engine.crashHandover.running());
  }

  /** Hands over the tasks of all namespaces: see CrashHandover. @throws StoreUnavailable */
  async handOver(culprit: AttemptRef, error: unknown): Promise<void> {
    const isCulprits = ({ engine }: OpenedEngine) =>
      engine.crashHandover.running().some(({ taskId }) => taskId === culprit.taskId);
    const owner = this.#all.find(isCulprits) ?? this.#default;
    const handed = await Promise.allSettled(
      this.#all.map((opened) => opened.engine.crashHandover.handOver(opened === owner ? culprit : null, error)),
    );
    const failure = handed.find((outcome) => outcome.status === "rejected");
    if (failure !== undefined) throw failure.reason;
  }

  gauges(): EngineGauges {
    return sumGauges(this.#all.map(({ engine }) => engine.gauges()));
  }

  get #all(): OpenedEngine[] {
    return [...this.#opened.values()];
  }
}

interface EnginesParts {
  /** The namespace of the server's settings, which needs no row in the table of namespaces. */
  defaultNamespace: string;
  db: Kysely<Database>;
  shared: SharedParts;
  open: OpenEngine;
  log: Logger;
}
