import { KindUnknown } from "../../domain/errors.ts";
import type { Kind } from "../../domain/kind.ts";
import type { RetrySettings } from "../../domain/retry.ts";
import type { FoundOffer, KindOffer } from "../../domain/session.ts";
import type { Task } from "../../domain/task.ts";
import type { TaskView } from "../api/task-engine.ts";

/** How long it is known who has a kind, for people to see. Processes come and go. */
const KNOWN_MS = 1_000;
/** Of so many kinds: callers may ask for any name. */
const KNOWN_MAX = 1_000;

/**
 * Who has which kind: this process, another that lives, or nobody. A task of a kind that another has is stored here and
 * run there; one of a kind that nobody has waits until somebody comes who has it, unless that is to be refused.
 */
export class KindDirectory {
  readonly #own: ReadonlyMap<string, Kind>;
  readonly #offerHere: (kind: string) => KindOffer | undefined;
  readonly #unknownKinds: "wait" | "refuse";
  readonly #readOffer: (kind: string) => Promise<FoundOffer | undefined>;
  /** Of the kinds that were asked for: whether nobody who is alive has them. */
  readonly #known = new Map<string, { isMissing: Promise<boolean>; untilMs: number }>();

  constructor(parts: {
    own: ReadonlyMap<string, Kind>;
    /** What workers that are connected to this process say of a kind. */
    offerHere: (kind: string) => KindOffer | undefined;
    unknownKinds: "wait" | "refuse";
    /** What a session says of a kind, one that is alive if there is one. @throws StoreUnavailable */
    readOffer: (kind: string) => Promise<FoundOffer | undefined>;
  }) {
    this.#own = parts.own;
    this.#offerHere = parts.offerHere;
    this.#unknownKinds = parts.unknownKinds;
    this.#readOffer = parts.readOffer;
  }

  /**
   * What is to be known of a kind for a start.
   *
   * @returns kind: null where it is not this process's: then only those who have it can check the params.
   *   isUnvalidated: they are to do that before the task can be claimed
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

  /** Adds whether the task waits for a worker or server that has its kind: false where that is unknown now. */
  async withAvailability(task: Task): Promise<TaskView> {
    const isPending = task.status === "pending" && !this.#own.has(task.kind);
    const awaitsWorker = isPending && this.#offerHere(task.kind) === undefined && (await this.#isMissing(task.kind));
    return { ...task, awaitsWorker };
  }

  #isMissing(kind: string): Promise<boolean> {
    const known = this.#known.get(kind);
    if (known !== undefined && performance.now() < known.untilMs) return known.isMissing;
    const isMissing = this.#readOffer(kind).then(
      (offer) => offer?.isAlive !== true,
      () => {
        this.#known.delete(kind); // The next one asks again.
        return false;
      },
    );
    this.#known.delete(kind);
    this.#known.set(kind, { isMissing, untilMs: performance.now() + KNOWN_MS });
    if (this.#known.size > KNOWN_MAX) this.#known.delete(this.#known.keys().next().value!);
    return isMissing;
  }
}
