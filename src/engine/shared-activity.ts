import type { Activity, ActivityQuery } from "../domain/activity.ts";
import { Overloaded } from "../domain/errors.ts";
import { quiet } from "../domain/quiet.ts";

/** How long an answer is given to all who ask the same. */
const KEPT_MS = 1_000;
/** But that many times as long as it took to count: one question takes a tenth of a connection's time at the most. */
const KEPT_TIMES = 9;
/** How many different questions are open or answered at once. */
const QUESTIONS_MAX = 100;

interface Question {
  answer: Promise<Activity>;
  /** Infinity while it is open. */
  keptUntilMs: number;
}

/**
 * What began and ended of late, counted once for all who ask the same at about the same time, and one question after
 * the other: a hundred who watch cost one query a second. A failure is shared like an answer, because what failed for
 * having taken too long must not be tried again at once.
 */
export class SharedActivity {
  readonly #count: (query: ActivityQuery) => Promise<Activity>;
  readonly #clock: () => number;
  readonly #questions = new Map<string, Question>();
  /** Settles when nothing is being counted. */
  #turn: Promise<unknown> = Promise.resolve();

  /** @param clock in ms, never set back */
  constructor(count: (query: ActivityQuery) => Promise<Activity>, clock = () => performance.now()) {
    this.#count = count;
    this.#clock = clock;
  }

  /** @throws Overloaded, and what the counting throws */
  read(query: ActivityQuery): Promise<Activity> {
    const key = JSON.stringify([query.windowMs, query.stepMs, query.kinds.toSorted()]);
    this.#forgetOld();
    const known = this.#questions.get(key);
    if (known !== undefined) return known.answer;
    if (this.#questions.size >= QUESTIONS_MAX) {
      throw new Overloaded(`more than ${QUESTIONS_MAX} windows of activity are asked for`);
    }
    const question: Question = {
      answer: quiet(this.#turn.then(() => this.#answer(query, question))),
      keptUntilMs: Infinity,
    };
    this.#turn = question.answer.catch(() => {});
    this.#questions.set(key, question);
    return question.answer;
  }

  async #answer(query: ActivityQuery, question: Question): Promise<Activity> {
    const begunMs = this.#clock();
    try {
      return await this.#count(query);
    } finally {
      const nowMs = this.#clock();
      question.keptUntilMs = nowMs + Math.max(KEPT_MS, KEPT_TIMES * (nowMs - begunMs));
    }
  }

  #forgetOld(): void {
    const nowMs = this.#clock();
    for (const [key, { keptUntilMs }] of this.#questions) if (keptUntilMs <= nowMs) this.#questions.delete(key);
  }
}
