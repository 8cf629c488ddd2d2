import { Overloaded } from "../../domain/errors.ts";
import type { NamespaceState, NamespaceUsage } from "../../domain/namespace-state.ts";
import { countOpenTasks } from "../../store/reports/namespace-usage.ts";
import type { OpenTasks } from "../../store/reports/namespace-usage.ts";
import { isStatementTimeout } from "../../store/errors.ts";
import { CachedQuery } from "../../async/cached-query.ts";
import type { Engines } from "../namespaces/engines.ts";
import type { Shard } from "../namespaces/shards.ts";

/** Cached for 5 s, or for 9 times the query time if that is longer: counting takes a tenth of a connection's time. */
const COUNT_CACHE_MS = 5_000;
const CACHE_FACTOR = 9;

const NO_TASKS: OpenTasks = { pendingTasks: 0, runningTasks: 0 };

/** The shards, and the namespaces that are served from them. */
export type NamespacePlaces = Pick<Engines, "namespacesOn"> & { shards: Pick<Engines["shards"], "all"> };

type UsageOf = (namespace: string) => NamespaceUsage;

/** What namespaces use, counted for all callers together. */
export class NamespaceCounts {
  readonly #places: NamespacePlaces;
  readonly #counts = new WeakMap<Shard, CachedQuery<UsageOf>>();

  constructor(places: NamespacePlaces) {
    this.#places = places;
  }

  /**
   * Returns a function of a namespace. It returns null if the shard cannot be counted.
   *
   * @throws Overloaded if counting takes too long; StoreUnavailable if the first shard cannot be reached
   */
  async read(): Promise<(namespace: Pick<NamespaceState, "name" | "shard">) => NamespaceUsage | null> {
    const shards = this.#places.shards.all;
    const [home, ...others] = await Promise.allSettled(shards.map((shard) => this.#countOn(shard).read()));
    if (home!.status === "rejected") throw errorOf(home!.reason);
    const usages = new Map<string, UsageOf>();
    for (const [index, counted] of [home!, ...others].entries()) {
      if (counted.status === "fulfilled") usages.set(shards[index]!.name, counted.value);
    }
    return ({ name, shard }) => usages.get(shard)?.(name) ?? null;
  }

  /** Returns the names of the shards that cannot be reached, without the first one. */
  async unreachable(): Promise<Set<string>> {
    const [, ...others] = this.#places.shards.all;
    const counted = await Promise.allSettled(others.map((shard) => this.#countOn(shard).read()));
    const isUnreachable = (index: number) => {
      const outcome = counted[index]!;
      return outcome.status === "rejected" && !isStatementTimeout(outcome.reason);
    };
    return new Set(others.filter((_shard, index) => isUnreachable(index)).map(({ name }) => name));
  }

  #countOn(shard: Shard): CachedQuery<UsageOf> {
    let query = this.#counts.get(shard);
    if (query === undefined) {
      query = new CachedQuery(() => this.#count(shard), { maxAgeMs: COUNT_CACHE_MS, ageFactor: CACHE_FACTOR });
      this.#counts.set(shard, query);
    }
    return query;
  }

  async #count(shard: Shard): Promise<UsageOf> {
    const { store, shared } = shard.parts;
    const namespaces = this.#places.namespacesOn(shard);
    const [tasks, bytes] = await Promise.all([countOpenTasks(store.db, namespaces), shared.storedBytes.read()]);
    return (name) => ({ ...(tasks.get(name) ?? NO_TASKS), storedBytes: bytes.get(name) ?? 0 });
  }
}

function errorOf(reason: unknown): unknown {
  return isStatementTimeout(reason) ? new Overloaded("counting the tasks of the namespaces takes too long") : reason;
}
