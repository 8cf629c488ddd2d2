import { KindUnknown } from "../domain/errors.ts";
import type { Kind } from "../domain/kind.ts";
import type { RetrySettings } from "../domain/retry.ts";
import type { KindOffer } from "../domain/session.ts";
import type { Task } from "../domain/task.ts";
import type { SeenTask } from "./task-engine.ts";

/** How long it is known what others offer. Processes come and go; nobody waits to the second for that to be seen. */
const KNOWN_MS = 1_000;
/** Of so many kinds: callers may ask for any name. */
const KNOWN_MAX = 1_000;

/**
 * Who has which kind: this process, another that lives, or nobody. A task of a kind that another has is stored here and
 * run there; one of a kind that nobody has waits until somebody comes who has it, unless that is to be refused.
 */
export class KindDirectory {
  readonly #own: ReadonlyMap<string, Kind>;
  readonly #unknownKinds: "wait" | "refuse";
  readonly #readOffer: (kind: string) => Promise<KindOffer | undefined>;
  readonly #known = new Map<string, { offer: Promise<KindOffer | undefined>; untilMs: number }>();

  constructor(parts: {
    own: ReadonlyMap<string, Kind>;
    unknownKinds: "wait" | "refuse";
    /** What one who lives says of a kind; undefined where nobody has it. @throws StoreUnavailable */
    readOffer: (kind: string) => Promise<KindOffer | undefined>;
  }) {
    this.#own = parts.own;
    this.#unknownKinds = parts.unknownKinds;
    this.#readOffer = parts.readOffer;
  }

  /**
   * What is to be known of a kind for a start.
   *
   * @returns kind: null where it is not this process's: then only those who have it can check the params
   * @throws KindUnknown, StoreUnavailable
   */
  async find(name: string): Promise<{ kind: Kind | null; retry: RetrySettings }> {
    const kind = this.#own.get(name);
    if (kind !== undefined) return { kind, retry: kind.retry };
    const offer = await this.#offer(name);
    // A task is stored with the key that keeps it from running beside others, and that only those can tell who have it.
    const isTaken = offer === undefined ? this.#unknownKinds === "wait" : !offer.isExclusive;
    if (!isTaken) throw new KindUnknown(name, [...this.#own.keys()]);
    return { kind: null, retry: offer?.retry ?? {} };
  }

  /** The task, and whether it waits for somebody to come who has its kind. @throws StoreUnavailable */
  async see(task: Task): Promise<SeenTask> {
    const isNotOurs = task.status === "pending" && !this.#own.has(task.kind);
    return { ...task, awaitsWorker: isNotOurs && (await this.#offer(task.kind)) === undefined };
  }

  #offer(kind: string): Promise<KindOffer | undefined> {
    const known = this.#known.get(kind);
    if (known !== undefined && performance.now() < known.untilMs) return known.offer;
    const offer = this.#readOffer(kind);
    this.#known.delete(kind);
    this.#known.set(kind, { offer, untilMs: performance.now() + KNOWN_MS });
    offer.catch(() => this.#known.delete(kind)); // The next one asks again.
    if (this.#known.size > KNOWN_MAX) this.#known.delete(this.#known.keys().next().value!);
    return offer;
  }
}
