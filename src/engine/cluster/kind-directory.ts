import { KindUnknown } from "../../domain/errors.ts";
import type { Kind } from "../../domain/kind.ts";
import type { RetrySettings } from "../../domain/retry.ts";
import type { FoundOffer, KindOffer } from "../../domain/session.ts";
import type { Task } from "../../domain/task.ts";
import type { TaskView } from "../api/task-engine.ts";

/** How long the directory caches whether a kind is missing. Only task views use the cache; processes come and go. */
const CACHE_MS = 1_000;
/** The most kinds in the cache. There is a bound because callers may ask for any name. */
const CACHED_KINDS_MAX = 1_000;

/**
 * Finds the process that has a kind: this process, another live process, or none. If another process has the kind, this
 * process stores the task and the other process runs it. If no process has the kind, the task waits until one joins,
 * unless `unknownKinds` is `refuse`.
 */
export class KindDirectory {
  readonly #own: ReadonlyMap<string, Kind>;
  readonly #offerHere: (kind: string) => KindOffer | undefined;
  readonly #unknownKinds: "wait" | "refuse";
  readonly #readOffer: (kind: string) => Promise<FoundOffer | undefined>;
  /** Whether no live process has a kind, by kind. */
  readonly #cache = new Map<string, { isMissing: Promise<boolean>; untilMs: number }>();

  constructor(parts: {
    own: ReadonlyMap<string, Kind>;
    /** Returns what the workers connected to this process offer of a kind. */
    offerHere: (kind: string) => KindOffer | undefined;
    unknownKinds: "wait" | "refuse";
    /** Reads a session's offer of a kind, from a live session if there is one. @throws StoreUnavailable */
    readOffer: (kind: string) => Promise<FoundOffer | undefined>;
  }) {
    this.#own = parts.own;
    this.#offerHere = parts.offerHere;
    this.#unknownKinds = parts.unknownKinds;
    this.#readOffer = parts.readOffer;
  }

  /**
   * Returns what a start needs to know of a kind.
   *
   * @returns kind: null if this process does not have it; then only a process that has it can validate the params.
   *   isUnvalidated: whether such a process must validate the task before it can be claimed
   * @throws KindUnknown, StoreUnavailable
   */
  async find(name: string): Promise<{ kind: Kind | null; retry: RetrySettings; isUnvalidated: boolean }> {
    const kind = this.#own.get(name);
    if (kind !== undefined) return { kind, retry: kind.retry, isUnvalidated: false };
    const offer = this.#offerHere(name) ?? (await this.#readOffer(name));
    if (offer !== undefined) return { kind: null, retry: offer.retry, isUnvalidated: offer.isExclusive };
    if (this.#unknownKinds === "refuse") throw new KindUnknown(name, [...this.#own.keys()]);
    return { kind: null, retry: {}, isUnvalidated: true };
  }

  /** Adds whether the task waits for a worker or server that has its kind; false if that is unknown now. */
  async withAvailability(task: Task): Promise<TaskView> {
    const isPending = task.status === "pending" && !this.#own.has(task.kind);
    const awaitsWorker = isPending && this.#offerHere(task.kind) === undefined && (await this.#isMissing(task.kind));
    return { ...task, awaitsWorker };
  }

  #isMissing(kind: string): Promise<boolean> {
    const cached = this.#cache.get(kind);
    if (cached !== undefined && performance.now() < cached.untilMs) return cached.isMissing;
    const isMissing = this.#readOffer(kind).then(
      (offer) => offer?.isAlive !== true,
      () => {
        this.#cache.delete(kind); // The next call reads again.
        return false;
      },
    );
    this.#cache.delete(kind);
    this.#cache.set(kind, { isMissing, untilMs: performance.now() + CACHE_MS });
    if (this.#cache.size > CACHED_KINDS_MAX) this.#cache.delete(this.#cache.keys().next().value!);
    return isMissing;
  }
}
