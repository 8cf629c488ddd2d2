/** A scan that takes this long or less is never delayed. */
const FREE_MS = 25;
/** A scan runs for a fiftieth of the time at most, until PAUSE_MS_MAX limits its pause. Each server has several scans. */
const PAUSE_FACTOR = 49;
/** The longest pause, so that the bounds that rely on a scan are exceeded by this time and that of the scan at most. */
const PAUSE_MS_MAX = 2_000;

/**
 * Says when a scan that is repeated may run again. A scan takes long if its index is full of entries of dead rows,
 * which vacuum cannot remove while a transaction holds an old snapshot. Without a pace, such scans take all of the
 * database's time.
 *
 * The cost of a scan is the shorter of its last two times: a stall of the database is not the cost of the scan.
 */
export class ScanPace {
  readonly #clock: () => number;
  readonly #freeMs: number;
  readonly #pauseMsMax: number;
  #lastMs = 0;
  #dueAt = -Infinity;

  /**
   * @param clock in ms, never set back
   * @param bounds.pauseMsMax Infinity: nothing relies on the scan
   */
  constructor(clock = () => performance.now(), { freeMs = FREE_MS, pauseMsMax = PAUSE_MS_MAX } = {}) {
    this.#clock = clock;
    this.#freeMs = freeMs;
    this.#pauseMsMax = pauseMsMax;
  }

  /** Whether the scan may run now. */
  get isDue(): boolean {
    return this.#clock() >= this.#dueAt;
  }

  /** Runs the scan, and sets when it is due again. A scan that `isFree` may run again at once. */
  async run<Result>(scan: () => Promise<Result>, isFree: (result: Result) => boolean = () => false): Promise<Result> {
    const begunAt = this.#clock();
    let isCounted = true;
    try {
      const result = await scan();
      isCounted = !isFree(result);
      return result;
    } finally {
      // A failed scan counts, too: the database may have ended it because it took too long.
      if (isCounted) this.#note(begunAt);
    }
  }

  #note(begunAt: number): void {
    const endedAt = this.#clock();
    const tookMs = endedAt - begunAt;
    const costMs = Math.min(tookMs, this.#lastMs);
    this.#lastMs = tookMs;
    this.#dueAt = costMs <= this.#freeMs ? endedAt : endedAt + Math.min(PAUSE_FACTOR * costMs, this.#pauseMsMax);
  }
}
