import { eventLine } from "./event-line.ts";
import type { EventLine } from "./event-line.ts";
import type { TapeSearch } from "./tape-search.ts";
import type { Tape } from "./tape.ts";

/** The rows of a list of events, from 0. */
export interface TapeRows {
  readonly count: number;
  seqOf(index: number): number;
  /** Returns the row of an event, or of the first event after it. */
  indexOf(seq: number): number;
  /** Returns a row; null: not read yet. */
  lineOf(index: number): EventLine | null;
  /** Sets the visible rows; `end` is exclusive. */
  want(first: number, end: number): void;
}

export function wholeTape({ pages, lastSeq: { value: lastSeq }, revision }: Tape): TapeRows {
  void revision.value; // Makes the component render again when more rows were read.
  return {
    count: lastSeq,
    seqOf: (index) => index + 1,
    indexOf: (seq) => Math.max(0, Math.min(seq, lastSeq) - 1),
    lineOf(index) {
      const event = pages.get(index + 1);
      return event ? eventLine(event) : null;
    },
    want: (first, end) => pages.want(first + 1, end, lastSeq),
  };
}

export function foundEvents({ matches: { value: matches } }: TapeSearch): TapeRows {
  return {
    count: matches.length,
    seqOf: (index) => matches[index]!.seq,
    indexOf(seq) {
      const index = matches.findIndex((match) => match.seq >= seq);
      return index === -1 ? Math.max(0, matches.length - 1) : index;
    },
    lineOf: (index) => matches[index] ?? null,
    want: () => {},
  };
}
