import { setTimeout } from "node:timers/promises";
import { perSecond } from "../rate.ts";

const POLL_MS = 5;

/** How fast jobs that wait are done: from the first that runs until none is stored as not done. */
export class DrainRate {
  readonly #jobs: number;
  readonly #countLeft: () => Promise<number>;
  #startedAt: number | null = null;
  #left: number;
  readonly #done = Promise.withResolvers<void>();

  /** @param countLeft reads how many are not done yet */
  constructor(jobs: number, countLeft: () => Promise<number>) {
    this.#jobs = jobs;
    this.#left = jobs;
    this.#countLeft = countLeft;
  }

  /** To be called by each job. */
  readonly countDone = (): void => {
    this.#startedAt ??= performance.now();
    if (--this.#left === 0) this.#done.resolve();
  };

  /** @returns how many a second */
  async measure(): Promise<number> {
    await this.#done.promise;
    while ((await this.#countLeft()) > 0) await setTimeout(POLL_MS);
    return perSecond(this.#jobs, this.#startedAt!);
  }
}
