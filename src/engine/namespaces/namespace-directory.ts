import type { Kysely } from "kysely";
import type { Logger } from "pino";
import { NO_LIMITS } from "../../domain/tenant-limits.ts";
import type { Limits } from "../../domain/tenant-limits.ts";
import { readNamespaces } from "../../store/access/namespaces.ts";
import type { NamespaceRow } from "../../store/access/namespaces.ts";
import type { Database } from "../../store/schema.ts";
import { Loop } from "../../async/loop.ts";

/** How often the table is read: a new namespace is served by every server after this time and that of its join. */
const READ_MS = 2_000;

/** The namespaces that the service has, as of the last read. */
export class NamespaceDirectory {
  readonly #db: Kysely<Database>;
  readonly #onRead: (names: readonly string[]) => void;
  readonly #loop: Loop;
  #rows: ReadonlyMap<string, NamespaceRow> | null = null;

  /** @param parts.onRead is called after each read */
  constructor(parts: { db: Kysely<Database>; onRead: (names: readonly string[]) => void; log: Logger }) {
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

  has(name: string): boolean {
    return this.#rows?.has(name) ?? false;
  }

  limitsOf(name: string): Limits {
    return this.#rows?.get(name)?.limits ?? NO_LIMITS;
  }

  /** Reads the table now. @throws StoreUnavailable */
  async read(): Promise<void> {
    const rows = await readNamespaces(this.#db);
    this.#rows = new Map(rows.map((row) => [row.name, row]));
    this.#onRead([...this.#rows.keys()]);
  }
}
