import type { Choices } from "../../support/choices.ts";

/** Something that can happen next. */
interface Step {
  name: string;
  run: () => void;
}

export interface Timer extends Step {
  at: number;
  /** The period of an interval; null: the timer fires once. */
  everyMs: number | null;
}

// The clock of this process may be replaced later.
const { setImmediate } = globalThis;

/** How many steps Node takes in one turn of its loop. It runs all microtasks between two of them. */
const STEPS_A_TURN = 64;
/** How far the clock jumps past the next tick of an interval if nothing else is left to happen. */
const IDLE_JUMP_MS = 1_000;
/** After so many of these jumps in a row, nothing happens any more. */
const IDLE_JUMPS_MAX = 20;
const BEGIN_MS = 1_000_000;

/** Ends a run whose work is not done: nothing is left to happen, or too much has happened. */
export class Stuck extends Error {}

/**
 * Decides what happens next: an answer of the database, a timer, a setImmediate, or a step of an actor. Between two
 * steps, everything runs that the first one has made ready. Time passes only if the scheduler says so.
 *
 * Immediates run in their order, as in Node, and timers in the order of their times. All other steps run in any order.
 */
export class Scheduler {
  nowMs = BEGIN_MS;
  /** The names of the steps that were taken, if they are recorded. */
  readonly trace: string[] = [];
  readonly #choices: Choices;
  readonly #timeRate: number;
  readonly #isTraced: boolean;
  readonly #ready: Step[] = [];
  readonly #immediates: Step[] = [];
  #timers: Timer[] = [];
  #steps = 0;
  #idleJumps = 0;

  /** @param timeRate how often a timer fires while something else could happen, from 0 to 1 */
  constructor(choices: Choices, { timeRate, isTraced }: { timeRate: number; isTraced: boolean }) {
    this.#choices = choices;
    this.#timeRate = timeRate;
    this.#isTraced = isTraced;
  }

  /** How many steps were taken. */
  get steps(): number {
    return this.#steps;
  }

  /** Adds something that may happen from now on. */
  add(name: string, run: () => void): void {
    this.#ready.push({ name, run });
  }

  /** Resolves at some later step. */
  pause(name: string): Promise<void> {
    return new Promise((resolve) => this.add(name, resolve));
  }

  /** Resolves after a time. */
  sleep(name: string, ms: number): Promise<void> {
    return new Promise((resolve) => this.addTimer({ name, run: resolve, at: this.nowMs + ms, everyMs: null }));
  }

  addImmediate(run: () => void): void {
    this.#immediates.push({ name: "immediate", run });
  }

  addTimer(timer: Timer): Timer {
    const index = this.#timers.findIndex(({ at }) => at > timer.at);
    this.#timers.splice(index === -1 ? this.#timers.length : index, 0, timer);
    return timer;
  }

  clearTimer(timer: Timer | undefined): void {
    const index = timer === undefined ? -1 : this.#timers.indexOf(timer);
    if (index !== -1) this.#timers.splice(index, 1);
  }

  /** Takes steps until the work is done. @throws Stuck, or what the work throws */
  async run(work: Promise<unknown>, stepsMax: number): Promise<void> {
    const end = Promise.withResolvers<void>();
    let isOver = false;
    const finish = (error?: unknown) => {
      isOver = true;
      if (error === undefined) end.resolve();
      else end.reject(error);
    };
    work.then(() => finish(), finish);
    const step = () => {
      if (isOver) return;
      if (!this.#step()) finish(new Stuck("nothing is left to happen"));
      else if (this.#steps > stepsMax) finish(new Stuck(`${stepsMax} steps were not enough`));
    };
    const turn = () => {
      if (isOver) return;
      for (let count = 1; count < STEPS_A_TURN; count++) setImmediate(step);
      setImmediate(turn);
      step();
    };
    setImmediate(turn);
    try {
      await end.promise;
    } finally {
      await new Promise<void>((resolve) => void setImmediate(resolve)); // What the last step has made ready still runs.
    }
  }

  /** Takes the next step. @returns false if there is none */
  #step(): boolean {
    const hasImmediate = this.#immediates.length > 0;
    const others = this.#ready.length + (hasImmediate ? 1 : 0);
    if (others === 0) return this.#advance();
    this.#idleJumps = 0;
    if (this.#timers.length > 0 && this.#timeRate > 0 && this.#choices.chance(this.#timeRate)) return this.#advance();
    // The first possibility is that of a computer without load: immediates first, then the oldest answer.
    const chosen = others === 1 ? 0 : this.#choices.below(others);
    if (hasImmediate && chosen === 0) return this.#take(this.#immediates.shift()!);
    return this.#take(this.#ready.splice(hasImmediate ? chosen - 1 : chosen, 1)[0]!);
  }

  #take({ name, run }: Step): true {
    this.#steps++;
    if (this.#isTraced) this.trace.push(`${this.nowMs - BEGIN_MS} ms: ${name}`);
    run();
    return true;
  }

  /** Lets time pass until the next timer fires. */
  #advance(): boolean {
    const [next] = this.#timers;
    if (next === undefined) return false;
    const isIdle = this.#ready.length + this.#immediates.length === 0;
    if (isIdle && next.everyMs !== null && next.at > this.nowMs) {
      // An interval may be late. Then everything that is due meanwhile fires first.
      const single = this.#timers.find(({ everyMs }) => everyMs === null);
      if (single === undefined && ++this.#idleJumps > IDLE_JUMPS_MAX) return false;
      this.nowMs = Math.max(next.at, Math.min(single?.at ?? Infinity, next.at + IDLE_JUMP_MS));
    }
    this.nowMs = Math.max(this.nowMs, next.at);
    this.#timers.shift();
    if (next.everyMs !== null) {
      next.at = this.nowMs + next.everyMs;
      this.addTimer(next);
    }
    return this.#take(next);
  }
}
