import type { Activity, ActivityQuery } from "../../domain/activity.ts";
import { Overloaded } from "../../domain/errors.ts";
import { CachedQuery } from "../../async/cached-query.ts";

/** How long an answer is cached for callers that ask the same. */
const CACHE_MS = 1_000;
/** It is cached for so many times the query time if that is longer: counting takes a tenth of a connection's time. */
const CACHE_FACTOR = 9;
/** How many different questions are open or answered at once. */
const QUESTIONS_MAX = 100;

/**
 * The recent activity of a namespace, counted once for all callers that ask the same at about the same time, and one
 * question after the other: a hundred watchers cost one query a second.
 */
export class SharedActivity {
  readonly #count: (query: ActivityQuery) => Promise<Activity>;
  readonly #clock: () => number;
  readonly #questions = new Map<string, CachedQuery<Activity>>();
  /** Resolves when nothing is being counted. */
  #turn: Promise<void> = Promise.resolve();

  /** @param clock in ms, never set back */
  constructor(count: (query: ActivityQuery) => Promise<Activity>, clock = () => performance.now()) {
    this.#count = count;
    this.#clock = clock;
  }

  /** @throws Overloaded, and what the counting throws */
  read(query: ActivityQuery): Promise<Activity> {
    const key = JSON.stringify([query.windowMs, query.stepMs, query.kinds.toSorted()]);
    for (const [other, question] of this.#questions) if (question.isExpired) this.#questions.delete(other);
    const known = this.#questions.get(key);
    if (known !== undefined) return known.read();
    if (this.#questions.size >= QUESTIONS_MAX) {
      throw new Overloaded(`more than ${QUESTIONS_MAX} windows of activity are asked for`);
    }
    const count = () => this.#count(query);
    const question = new CachedQuery(count, { maxAgeMs: CACHE_MS, ageFactor: CACHE_FACTOR, clock: this.#clock });
    this.#questions.set(key, question);
    const answer = question.read(this.#turn);
    this.#turn = question.settled();
    return answer;
  }
}
