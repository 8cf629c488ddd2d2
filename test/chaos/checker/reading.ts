import type { SeenEvent } from "../history.ts";
import { lastSeqOf } from "./facts.ts";

/** Seqs from `first` to `last`. */
export interface Range {
  first: number;
  last: number;
}

/** How the events that a reader received differ from 1, 2, 3, … */
export interface ReadingFaults {
  /** Ranges that the reader never received although it received a later seq. */
  missing: Range[];
  /** Seqs that the reader received again, or that are before its position. */
  doubled: number[];
  /** Seqs that the reader received once, after a later seq. */
  disordered: number[];
  /** The seq after the last one that the reader received. */
  nextSeq: number;
}

/** Compares the events that a reader received in one go from a position with the tape that each reader must see. */
export function readingFaults(events: readonly SeenEvent[], fromSeq: number): ReadingFaults {
  let missing: Range[] = [];
  const doubled: number[] = [];
  const disordered: number[] = [];
  let nextSeq = Math.max(1, fromSeq);
  for (const event of events) {
    const { seq } = event;
    const last = lastSeqOf(event);
    if (seq >= nextSeq) {
      if (seq > nextSeq) missing.push({ first: nextSeq, last: seq - 1 });
      nextSeq = last + 1;
      continue;
    }
    const gap = missing.find((range) => range.first <= seq && last <= range.last);
    if (gap === undefined) {
      doubled.push(seq);
      nextSeq = Math.max(nextSeq, last + 1);
    } else {
      disordered.push(seq);
      const parts = [
        { first: gap.first, last: seq - 1 },
        { first: last + 1, last: gap.last },
      ];
      missing = missing.flatMap((range) => (range === gap ? parts.filter((part) => part.first <= part.last) : [range]));
    }
  }
  return { missing, doubled, disordered, nextSeq };
}

export function rangeText({ first, last }: Range): string {
  return first === last ? `seq ${first}` : `seqs ${first} to ${last}`;
}
