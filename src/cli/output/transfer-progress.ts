import { writeNotice } from "./output.ts";

const INTERVAL_MS = 2_000;

interface Counts {
  tasks: number;
  events: number;
}

/** Reports on stderr how far an export or an import is, every two seconds. */
export class TransferProgress {
  readonly #verb: string;
  readonly #json: boolean;
  readonly #isQuiet: boolean;
  #last = { at: performance.now(), events: 0 };

  /** @param verb what has been done: `exported` */
  constructor(verb: string, { json, isQuiet }: { json: boolean; isQuiet: boolean }) {
    this.#verb = verb;
    this.#json = json;
    this.#isQuiet = isQuiet;
  }

  /** Reports the counts, unless the last report is too recent. */
  update({ tasks, events }: Readonly<Counts>): void {
    const at = performance.now();
    const elapsedMs = at - this.#last.at;
    if (this.#isQuiet || elapsedMs < INTERVAL_MS) return;
    const rate = Math.round(((events - this.#last.events) * 1_000) / elapsedMs);
    this.#last = { at, events };
    const line = `${tasks} tasks and ${events} events ${this.#verb}, ${rate} events/s`;
    writeNotice({ json: this.#json, lines: [line], fields: { notice: "progress", tasks, events, events_per_s: rate } });
  }
}
