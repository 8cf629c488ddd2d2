import { perSecond, rateOf } from "../rate.ts";

/** Has so many jobs added, 64 at once, each by a call of its own, while others do them. @returns how many a second */
export class JobRate {
  readonly #add: () => Promise<unknown>;
  #left = 0;
  #done = Promise.withResolvers<void>();

  constructor(add: () => Promise<unknown>) {
    this.#add = add;
  }

  /** To be called by each job. */
  readonly countDone = (): void => {
    if (--this.#left === 0) this.#done.resolve();
  };

  /** From the first that is added to the last that is done. */
  async measure(jobs: number): Promise<number> {
    this.#left = jobs;
    this.#done = Promise.withResolvers();
    const startedAt = performance.now();
    await rateOf(this.#add, { times: jobs, atOnce: 64 });
    await this.#done.promise;
    return perSecond(jobs, startedAt);
  }
}
