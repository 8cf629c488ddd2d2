import type { Kysely } from "kysely";
import type { Logger } from "pino";
import { Loop } from "../../async/loop.ts";
import { pause } from "../../async/pause.ts";
import type { Database } from "../../store/schema.ts";
import { packNextTapes } from "../../store/tapes/packing.ts";
import type { EngineObserver } from "../api/engine-observer.ts";

const TURN_MS_MIN = 1_000;
const TURN_MS_MAX = 10_000;
/** Rests four times as long as it worked, so that packing takes at most a fifth of one connection. */
const REST_FACTOR = 4;

/**
 * Packs the tapes of ended tasks, which then take a fraction of the space. Every server runs this loop, and one packs at
 * a time. A database with more ended tasks than one connection can pack in a fifth of its time is packed later, or never:
 * every tape reads the same before and after.
 */
export class TapePacker {
  readonly #db: Kysely<Database>;
  readonly #namespace: string;
  readonly #afterMs: number;
  readonly #observer: EngineObserver;
  readonly #loop: Loop;

  /** @param parts.afterMs how long after its end a tape is packed */
  constructor(parts: {
    db: Kysely<Database>;
    namespace: string;
    afterMs: number;
    observer: EngineObserver;
    log: Logger;
  }) {
    this.#db = parts.db;
    this.#namespace = parts.namespace;
    this.#afterMs = parts.afterMs;
    this.#observer = parts.observer;
    const turn = (signal: AbortSignal) => this.#packAll(signal);
    const everyMs = Math.min(TURN_MS_MAX, Math.max(TURN_MS_MIN, parts.afterMs / 10));
    this.#loop = new Loop({ name: "tape-packer", everyMs, log: parts.log, turn });
  }

  start(): void {
    this.#loop.start();
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  async #packAll(signal: AbortSignal): Promise<void> {
    for (let hasMore = true; hasMore && !signal.aborted;) {
      const began = performance.now();
      const packed = await packNextTapes(this.#db, { namespace: this.#namespace, afterMs: this.#afterMs });
      ({ hasMore } = packed);
      if (packed.events > 0) this.#observer.tapesPacked(packed);
      if (hasMore) await pause(REST_FACTOR * (performance.now() - began), signal).catch(() => {});
    }
  }
}
