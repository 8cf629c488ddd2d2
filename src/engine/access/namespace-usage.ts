import type { Kysely } from "kysely";
import { Overloaded } from "../../domain/errors.ts";
import { countOpenTasks } from "../../store/reports/namespace-usage.ts";
import type { OpenTasks } from "../../store/reports/namespace-usage.ts";
import type { Database } from "../../store/schema.ts";
import { isStatementTimeout } from "../../store/errors.ts";
import { CachedQuery } from "../../async/cached-query.ts";
import type { StoredBytes } from "../cluster/stored-bytes.ts";
import type { NamespaceState } from "../../domain/namespace-state.ts";

/** Cached for 5 s, or for 9 times the query time if that is longer: counting takes a tenth of a connection's time. */
const COUNT_CACHE_MS = 5_000;
const CACHE_FACTOR = 9;

type Usage = Pick<NamespaceState, "pendingTasks" | "runningTasks" | "storedBytes">;

const NO_TASKS: OpenTasks = { pendingTasks: 0, runningTasks: 0 };

/** What namespaces use, counted for all callers together. */
export class NamespaceUsage {
  readonly #tasks: CachedQuery<ReadonlyMap<string, OpenTasks>>;
  readonly #bytes: StoredBytes;

  /** @param namespaces returns the namespaces whose tasks are counted */
  constructor(db: Kysely<Database>, storedBytes: StoredBytes, namespaces: () => readonly string[]) {
    const cached = { maxAgeMs: COUNT_CACHE_MS, ageFactor: CACHE_FACTOR };
    this.#tasks = new CachedQuery(() => countOpenTasks(db, namespaces()), cached);
    this.#bytes = storedBytes;
  }

  /** Returns a function of the namespace. @throws StoreUnavailable; Overloaded if counting takes too long */
  async read(): Promise<(namespace: string) => Usage> {
    try {
      const [tasks, bytes] = await Promise.all([this.#tasks.read(), this.#bytes.read()]);
      return (name) => ({ ...(tasks.get(name) ?? NO_TASKS), storedBytes: bytes.get(name) ?? 0 });
    } catch (error) {
      if (isStatementTimeout(error)) throw new Overloaded("counting the tasks of the namespaces takes too long");
      throw error;
    }
  }
}
