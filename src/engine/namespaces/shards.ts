import type { Logger } from "pino";
import pLimit from "p-limit";
import { HOME_SHARD } from "../../domain/shard.ts";
import type { ShardEntry } from "../../domain/shard.ts";
import type { Store } from "../../store/database.ts";
import type { SharedParts } from "./shared-parts.ts";

/** How many namespaces of a shard join at once: few, so that calls get connections meanwhile. */
const MAX_CONCURRENT_JOINS = 4;

/** A database that holds the tasks of some namespaces, and what their engines in this process share. */
export interface ShardParts {
  readonly store: Store;
  readonly shared: SharedParts;
  /**
   * Makes sure that the schema is that of this program. Resolves at once after it has succeeded.
   *
   * @throws StoreUnavailable, DatabaseTooOld, DatabaseTooNew, DatabaseDiverged
   */
  prepare(): Promise<void>;
}

/** Opens the store of a shard, without connecting. @throws InvalidDatabaseUrl */
export type OpenShard = (entry: ShardEntry) => Promise<ShardParts>;

/** A shard that this process has open. */
export class Shard {
  readonly name: string;
  readonly parts: ShardParts;
  /** null: the first shard. */
  readonly url: string | null;
  readonly #inTurn = pLimit(MAX_CONCURRENT_JOINS);

  constructor(name: string, url: string | null, parts: ShardParts) {
    this.name = name;
    this.url = url;
    this.parts = parts;
  }

  /** Runs work when it is its turn among the namespaces of this shard. A shard that is down delays no other shard. */
  inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.#inTurn(work);
  }
}

/** The shards of a service that this process has open: the first one, and those that it names. */
export class Shards {
  readonly home: Shard;
  readonly #open: OpenShard;
  readonly #log: Logger;
  readonly #others = new Map<string, Shard>();
  /** Updates follow each other, so that no shard is opened twice. */
  readonly #oneUpdate = pLimit(1);
  /** Shards that were removed, or have another URL now, while engines may still use them. */
  readonly #left = new Set<Shard>();

  constructor(home: ShardParts, { open, log }: { open: OpenShard; log: Logger }) {
    this.home = new Shard(HOME_SHARD, null, home);
    this.#open = open;
    this.#log = log;
  }

  get(name: string): Shard | undefined {
    return name === HOME_SHARD ? this.home : this.#others.get(name);
  }

  /** All shards, the first one first. */
  get all(): Shard[] {
    return [this.home, ...this.#others.values()];
  }

  /**
   * Opens the shards that are new among the entries, and leaves those that are not among them. Engines stay as they are
   * if only the standby of a shard changes.
   */
  update(entries: readonly ShardEntry[]): Promise<void> {
    return this.#oneUpdate(() => this.#update(entries));
  }

  async #update(entries: readonly ShardEntry[]): Promise<void> {
    const urls = new Map(entries.map(({ name, url }) => [name, url]));
    for (const shard of this.#others.values()) {
      if (urls.get(shard.name) === shard.url) continue;
      this.#others.delete(shard.name);
      this.#left.add(shard);
    }
    for (const entry of entries) {
      const opened = this.#others.get(entry.name);
      opened?.parts.shared.standby.use(entry.standbyUrl);
      if (opened !== undefined) continue;
      try {
        this.#others.set(entry.name, new Shard(entry.name, entry.url, await this.#open(entry)));
        this.#log.info({ shard: entry.name }, "shards: opened");
      } catch (error) {
        this.#log.error({ err: error, shard: entry.name }, "shards: open failed, retrying");
      }
    }
  }

  /** Closes the shards that were left, unless they are in use. */
  async closeLeft(isUsed: (shard: Shard) => boolean): Promise<void> {
    const unused = [...this.#left].filter((shard) => !isUsed(shard));
    for (const shard of unused) this.#left.delete(shard);
    await Promise.all(unused.map(closeShard));
  }

  /** Closes all shards. The store of the first one stays open: it belongs to the server. */
  async close(): Promise<void> {
    const others = [...this.#others.values(), ...this.#left].map(closeShard);
    await Promise.all([this.home.parts.shared.standby.close(), ...others]);
  }
}

async function closeShard({ parts: { store, shared } }: Shard): Promise<void> {
  await shared.upkeep.stop();
  await shared.standby.close();
  await store.close();
}
