import type { Kysely } from "kysely";
import type { Logger } from "pino";
import { HOME_SHARD } from "../../domain/shard.ts";
import type { ShardEntry } from "../../domain/shard.ts";
import { NO_LIMITS } from "../../domain/tenant-limits.ts";
import type { Limits } from "../../domain/tenant-limits.ts";
import { readNamespaces } from "../../store/access/namespaces.ts";
import type { NamespaceRow } from "../../store/access/namespaces.ts";
import { readShards } from "../../store/access/shards.ts";
import type { Database } from "../../store/schema.ts";
import { Loop } from "../../async/loop.ts";

/** How often the tables are read: a new namespace is served by every server after this time and that of its join. */
const READ_MS = 2_000;

/** Where a namespace lives. */
export type Place = Pick<NamespaceRow, "shard" | "isMoving" | "generation" | "before">;

/** The namespaces and the shards that the service has, as of the last read of the first shard. */
export class NamespaceDirectory {
  readonly #db: Kysely<Database>;
  readonly #onRead: (shards: readonly ShardEntry[]) => Promise<void>;
  readonly #loop: Loop;
  #rows: ReadonlyMap<string, NamespaceRow> | null = null;

  /** @param parts.onRead is called after each read */
  constructor(parts: { db: Kysely<Database>; onRead: (shards: readonly ShardEntry[]) => Promise<void>; log: Logger }) {
    this.#db = parts.db;
    this.#onRead = parts.onRead;
    this.#loop = new Loop({ name: "namespaces", everyMs: READ_MS, log: parts.log, turn: () => this.read() });
  }

  start(): void {
    this.#loop.start();
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  /** Whether the namespaces are known. */
  get isRead(): boolean {
    return this.#rows !== null;
  }

  /** The names of the namespaces that have a row. */
  get names(): string[] {
    return [...(this.#rows?.keys() ?? [])];
  }

  has(name: string): boolean {
    return this.#rows?.has(name) ?? false;
  }

  limitsOf(name: string): Limits {
    return this.#rows?.get(name)?.limits ?? NO_LIMITS;
  }

  /** Returns where a namespace lives. A namespace without a row lives on the first shard. */
  placeOf(name: string): Place {
    return this.#rows?.get(name) ?? { shard: HOME_SHARD, isMoving: false, generation: 0, before: null };
  }

  /** Reads the tables now. @throws StoreUnavailable */
  async read(): Promise<void> {
    const [rows, shards] = await Promise.all([readNamespaces(this.#db), readShards(this.#db)]);
    this.#rows = new Map(rows.map((row) => [row.name, row]));
    await this.#onRead(shards);
  }
}
