import { cutText } from "../cut-text.ts";
import { FileError } from "./file-error.ts";

// Postgres' text search parser takes `a-1.b/c` for a number, a host, a path and an address in turn, and reads on to the
// next white space for each, again from each mark. Its time grows with the square of such a run, a quarter of a second
// for 2,000 characters: runs are kept short, and what all of them cost is bounded.

/** UTF-16 code units without white space in one chunk, where marks are among them. No word and few URLs are longer. */
export const RUN_CHARS_MAX = 256;
/** Of one file: the sum of marks × length over its runs. The worst take 130 ns a unit. */
export const RUN_COST_MAX = 40_000_000;

const RUN_TOO_LONG = new RegExp(`[\\x21-\\x7e]{${RUN_CHARS_MAX + 1},}`, "g");
/** Shorter ones are prose. */
const RUN_COUNTED = /[\x21-\x7e]{65,}/g;
const MARK = /[._~@/#%=]/;
const MARKS = new RegExp(MARK, "g");

/** The text up to where a run with marks in it is RUN_CHARS_MAX long. */
export function cutLongRun(text: string): string {
  for (const { 0: run, index } of text.matchAll(RUN_TOO_LONG)) {
    if (MARK.test(run)) return cutText(text, index + RUN_CHARS_MAX);
  }
  return text;
}

/** Adds up what the chunks of one file cost. The function that it gives throws FileError past RUN_COST_MAX. */
export function countRunCost(): (chunk: string) => void {
  let cost = 0;
  return (chunk) => {
    for (const [run] of chunk.matchAll(RUN_COUNTED)) cost += run.length * (run.match(MARKS)?.length ?? 0);
    if (cost <= RUN_COST_MAX) return;
    throw new FileError(
      "long_runs",
      `the file holds too much text without white space and full of punctuation: marks × length of all such runs is more than ${RUN_COST_MAX}`,
    );
  };
}
