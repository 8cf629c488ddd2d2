import type { Logger } from "pino";
import { StoreUnavailable } from "../domain/errors.ts";

/**
 * Runs work repeatedly, after a pause or as soon as it is kicked. A failure is logged, and the loop continues. stop()
 * waits until the current run has ended.
 */
export class Loop {
  readonly #name: string;
  readonly #everyMs: number;
  readonly #log: Logger;
  readonly #isIdle: () => boolean;
  readonly #turn: (signal: AbortSignal) => Promise<void>;
  readonly #stopped = new AbortController();
  #kicked = false;
  #wake: (() => void) | null = null;
  #running: Promise<void> = Promise.resolve();

  /** @param parts.isIdle whether a run that nothing has kicked would find nothing to do, and is left out */
  constructor(parts: {
    name: string;
    everyMs: number;
    log: Logger;
    isIdle?: () => boolean;
    turn: (signal: AbortSignal) => Promise<void>;
  }) {
    this.#name = parts.name;
    this.#everyMs = parts.everyMs;
    this.#log = parts.log;
    this.#isIdle = parts.isIdle ?? (() => false);
    this.#turn = parts.turn;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Requests a run now, or right after the current one. */
  kick(): void {
    this.#kicked = true;
    this.#wake?.();
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    this.#wake?.();
    await this.#running;
  }

  async #run(): Promise<void> {
    let isDown = false;
    while (!this.#stopped.signal.aborted) {
      const isKicked = await this.#pause();
      if (this.#stopped.signal.aborted) return;
      if (!isKicked && this.#isIdle()) {
        isDown = false;
        continue;
      }
      try {
        await this.#turn(this.#stopped.signal);
        isDown = false;
      } catch (error) {
        const isOutage = error instanceof StoreUnavailable;
        // Logs one line per outage, not one per run.
        if (!isOutage || !isDown) this.#log.warn({ err: error, loop: this.#name }, "background loop failed");
        isDown = isOutage;
      }
    }
  }

  /** @returns whether the loop was kicked */
  async #pause(): Promise<boolean> {
    if (!this.#kicked) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const timer = setTimeout(resolve, this.#everyMs);
      await promise;
      clearTimeout(timer);
      this.#wake = null;
    }
    const isKicked = this.#kicked;
    this.#kicked = false;
    return isKicked;
  }
}
