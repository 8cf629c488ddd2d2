import type { Activity, ActivityQuery } from "../../domain/activity.ts";
import { Overloaded } from "../../domain/errors.ts";
import { KeptAnswer } from "./cached-query.ts";

/** How long an answer is given to all who ask the same. */
const KEPT_MS = 1_000;
/** How many different questions are open or answered at once. */
const QUESTIONS_MAX = 100;

/**
 * What began and ended of late, counted once for all who ask the same at about the same time, and one question after
 * the other: a hundred who watch cost one query a second.
 */
export class SharedActivity {
  readonly #count: (query: ActivityQuery) => Promise<Activity>;
  readonly #clock: () => number;
  readonly #questions = new Map<string, KeptAnswer<Activity>>();
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
    for (const [other, question] of this.#questions) if (question.isOld) this.#questions.delete(other);
    const known = this.#questions.get(key);
    if (known !== undefined) return known.answer;
    if (this.#questions.size >= QUESTIONS_MAX) {
      throw new Overloaded(`more than ${QUESTIONS_MAX} windows of activity are asked for`);
    }
    const question = new KeptAnswer(() => this.#count(query), {
      after: this.#turn,
      keptMs: KEPT_MS,
      clock: this.#clock,
    });
    this.#turn = question.settled;
    this.#questions.set(key, question);
    return question.answer;
  }
}
