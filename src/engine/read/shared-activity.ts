import type { Kysely } from "kysely";
import type { Activity, ActivityQuery } from "../../domain/activity.ts";
import { Overloaded } from "../../domain/errors.ts";
import { CachedQuery } from "../../async/cached-query.ts";
import { COUNT_MS_MAX, readActivity } from "../../store/reports/activity-queries.ts";
import type { Database } from "../../store/schema.ts";
import type { StandbyReads } from "./standby-reads.ts";

/** How long an answer is cached for callers that ask the same. */
const CACHE_MS = 1_000;
/** An answer is cached for this many times its query time if that is longer: counting uses a tenth of a connection. */
const CACHE_FACTOR = 9;
/** After this time, the primary is asked for a count that the standby has not returned. */
const STANDBY_COUNT_MS_MAX = COUNT_MS_MAX + 1_000;
/** The most different queries that are running or cached at once. */
const QUERIES_MAX = 100;

/**
 * The recent activity of a namespace. Callers that ask the same at about the same time share one count. Different
 * queries run one after the other. A hundred callers with the same query cost one count a second.
 */
export class SharedActivity {
  readonly #count: (query: ActivityQuery) => Promise<Activity>;
  readonly #clock: () => number;
  readonly #queries = new Map<string, CachedQuery<Activity>>();
  /** Resolves when no query is running. */
  #turn: Promise<void> = Promise.resolve();

  /** @param clock in ms, never set back */
  constructor(count: (query: ActivityQuery) => Promise<Activity>, clock = () => performance.now()) {
    this.#count = count;
    this.#clock = clock;
  }

  /** Returns the activity, counted or cached. @throws Overloaded, and what the count throws */
  read(query: ActivityQuery): Promise<Activity> {
    const key = JSON.stringify([query.windowMs, query.stepMs, query.kinds.toSorted()]);
    for (const [other, { isExpired }] of this.#queries) if (isExpired) this.#queries.delete(other);
    const cached = this.#queries.get(key);
    if (cached !== undefined) return cached.read();
    if (this.#queries.size >= QUERIES_MAX) {
      throw new Overloaded(`more than ${QUERIES_MAX} different queries of activity`);
    }
    const count = () => this.#count(query);
    const added = new CachedQuery(count, { maxAgeMs: CACHE_MS, ageFactor: CACHE_FACTOR, clock: this.#clock });
    this.#queries.set(key, added);
    const answer = added.read(this.#turn);
    this.#turn = added.settled();
    return answer;
  }
}

/** Counts the activity, on the standby if possible. @throws Overloaded, StoreUnavailable */
export async function countActivity(
  { db, standby, namespace }: { db: Kysely<Database>; standby: StandbyReads; namespace: string },
  query: ActivityQuery,
): Promise<Activity> {
  const count = (from: Kysely<Database>) => readActivity(from, { namespace, ...query });
  return (await standby.readCurrent(count, STANDBY_COUNT_MS_MAX)) ?? count(db);
}
