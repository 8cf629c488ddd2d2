import { bodyOf, bytesOf } from "./event.ts";
import type { EventBodies, TapeEvent } from "./event.ts";
import { FOLDED_BYTES_MAX, FOLDED_PAGE_RECORDED_MAX, PAGE_BYTES_MAX, PAGE_EVENTS_MAX } from "./limits.ts";
import type { Series } from "./series.ts";

type SeriesPartial = EventBodies["partial"] & { series: Series };

export interface FoldBounds {
  /** How many events the view may have. */
  eventsMax?: number;
  /** How many recorded events it may cover. */
  recordedMax?: number;
  /** The memory of its events, in bytes. One more event may exceed it. */
  bytesMax?: number;
  /** The size of one folded event, in bytes of JSON. */
  foldedBytesMax?: number;
}

/** Whether an event may be part of a run. Does not parse the event, so the answer may be wrongly true. */
export function mayFold({ type, body }: TapeEvent): boolean {
  return type === "partial" && body.includes('"series"');
}

/**
 * Collects consecutive events of a tape as the folded view shows them: each run of partials with a series of mode
 * `append` or `latest` becomes one event. The event covers every seq of its run, so the view has the same positions as
 * the tape. A run ends at any other event, at a series that changes its mode or field, at foldedBytesMax, and at the
 * end of what is collected.
 */
export class TapeFold {
  readonly #bounds: Required<FoldBounds>;
  readonly #events: TapeEvent[] = [];
  #run: Run | null = null;
  #bytes = 0;
  #recorded = 0;

  constructor({
    eventsMax = PAGE_EVENTS_MAX,
    recordedMax = FOLDED_PAGE_RECORDED_MAX,
    bytesMax = PAGE_BYTES_MAX,
    foldedBytesMax = FOLDED_BYTES_MAX,
  }: FoldBounds = {}) {
    this.#bounds = { eventsMax, recordedMax, bytesMax, foldedBytesMax };
  }

  /** Takes events in order. @returns how many were taken: fewer than all if the view is full */
  take(events: readonly TapeEvent[]): number {
    let taken = 0;
    while (taken < events.length && this.#add(events[taken]!)) taken++;
    this.#recorded += taken;
    return taken;
  }

  /** Whether the view might take another event. */
  get hasRoom(): boolean {
    return this.#recorded < this.#bounds.recordedMax && (this.#run !== null || !this.#isFull);
  }

  /** Ends the view and returns its events. */
  finish(): TapeEvent[] {
    this.#endRun();
    return this.#events;
  }

  #add(event: TapeEvent): boolean {
    if (!this.hasRoom) return false;
    const partial = foldable(event);
    if (partial !== null && this.#run?.tryAdd(event, partial)) return true;
    this.#endRun();
    if (this.#isFull) return false;
    if (partial !== null) this.#run = new Run(event, partial, this.#bounds.foldedBytesMax);
    else this.#push(event);
    return true;
  }

  #endRun(): void {
    if (this.#run === null) return;
    this.#push(this.#run.toEvent());
    this.#run = null;
  }

  #push(event: TapeEvent): void {
    this.#events.push(event);
    this.#bytes += bytesOf(event);
  }

  get #isFull(): boolean {
    const { eventsMax, bytesMax } = this.#bounds;
    return this.#events.length >= eventsMax || this.#bytes >= bytesMax;
  }
}

/** The partials of one series in a run. */
interface Part {
  series: Series;
  first: TapeEvent;
  last: TapeEvent;
  count: number;
  /** With `append`: the texts, and their size. */
  texts: string[];
  textBytes: number;
  /** The size of what the part holds: its last event and its texts. */
  bytes: number;
}

/** Consecutive events that become one. */
class Run {
  readonly #bytesMax: number;
  /** By kind and series name. */
  readonly #parts = new Map<string, Part>();
  readonly #first: TapeEvent;
  #last: TapeEvent;
  #bytes = 0;

  constructor(event: TapeEvent, partial: SeriesPartial, bytesMax: number) {
    this.#bytesMax = bytesMax;
    this.#first = event;
    this.#last = event;
    this.#put(event, partial, Infinity);
  }

  /** @returns false, and takes nothing, if the event does not belong to the run */
  tryAdd(event: TapeEvent, partial: SeriesPartial): boolean {
    return this.#put(event, partial, this.#bytesMax);
  }

  #put(event: TapeEvent, { kind, payload, series }: SeriesPartial, bytesMax: number): boolean {
    const key = `${kind.length}:${kind}${series.name}`;
    const part = this.#parts.get(key);
    if (part !== undefined && (part.series.mode !== series.mode || part.series.field !== series.field)) return false;
    const text = series.mode === "append" ? (payload[series.field!] as string) : "";
    const textBytes = (part?.textBytes ?? 0) + Buffer.byteLength(JSON.stringify(text)) - 2;
    const bytes = Buffer.byteLength(event.body) + textBytes;
    const runBytes = this.#bytes - (part?.bytes ?? 0) + bytes;
    if (runBytes > bytesMax) return false;
    this.#bytes = runBytes;
    this.#last = event;
    if (part === undefined) {
      this.#parts.set(key, { series, first: event, last: event, count: 1, texts: [text], textBytes, bytes });
    } else {
      Object.assign(part, { last: event, count: part.count + 1, textBytes, bytes });
      if (series.mode === "append") part.texts.push(text);
    }
    return true;
  }

  /** A run of one event is the event itself. */
  toEvent(): TapeEvent {
    if (this.#first === this.#last) return this.#first;
    const parts = Array.from(this.#parts.values(), partText);
    const body = `{"first_seq":"${this.#first.seq}","parts":[${parts.join(",")}]}`;
    return { seq: this.#last.seq, time: this.#last.time, type: "folded", body };
  }
}

/** Returns a part as JSON. The body of the last event is JSON already, and stays as it was recorded. */
function partText({ series, first, last, count, texts }: Part): string {
  const text = series.mode === "append" ? `"text":${JSON.stringify(texts.join(""))},` : "";
  return `{"partial":${last.body},${text}"count":${count},"first_seq":"${first.seq}","last_seq":"${last.seq}"}`;
}

/** Returns the partial of an event that can be part of a run; null: the event stays as it is. */
function foldable(event: TapeEvent): SeriesPartial | null {
  if (!mayFold(event)) return null;
  const partial = bodyOf({ ...event, type: "partial" });
  const { series, payload } = partial;
  if (series?.mode === "latest") return { ...partial, series };
  if (series?.mode !== "append" || typeof series.field !== "string") return null;
  return typeof payload[series.field] === "string" ? { ...partial, series } : null;
}
