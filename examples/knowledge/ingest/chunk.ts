import { cutText } from "../cut-text.ts";
import { countRunCost, cutLongRun } from "./long-runs.ts";

/** UTF-16 code units. About a page of print: enough to be understood alone, little enough to be about one thing. */
export const CHUNK_CHARS_MAX = 2_000;
/** A section that is shorter goes into one chunk with the next: a file of headings alone is not a chunk a line. */
export const CHUNK_CHARS_MIN = 200;
export const HEADING_CHARS_MAX = 200;

/** A part of a text under one heading, which is part of the text. */
export interface Section {
  /** One line; empty before the first heading. */
  heading: string;
  text: string;
}

/** A section, or short sections together, or a piece of a long one: at most CHUNK_CHARS_MAX. */
export type Chunk = Section;

/** Where a long section is best divided, the best first: after a blank line, a line, a sentence, a word. */
const DIVISIONS = [/\n[ \t\r]*\n/g, /\n/g, /[.!?…。！？]["'”’)\]]*\s|[。！？]/gu, /\s/gu];

/**
 * Makes chunks of sections as they come. The texts of the chunks, one after the other, are the texts of the sections:
 * nothing is lost, nothing is there twice, and no surrogate pair is split.
 *
 * Both throw FileError long_runs.
 */
export function collectChunks(): { add(section: Section): void; end(): Chunk[] } {
  const chunks: Chunk[] = [];
  const countCost = countRunCost();
  let pending: Section = { heading: "", text: "" };

  function flush(): void {
    for (const text of splitText(pending.text)) {
      countCost(text);
      chunks.push({ heading: pending.heading, text });
    }
  }

  return {
    add(section) {
      const isShort = pending.text.length < CHUNK_CHARS_MIN;
      if (isShort && pending.text.length + section.text.length <= CHUNK_CHARS_MAX) {
        pending = { heading: pending.heading || section.heading, text: pending.text + section.text };
        return;
      }
      flush();
      pending = section;
    },
    end() {
      flush();
      return chunks;
    },
  };
}

/** A text in pieces of at most CHUNK_CHARS_MAX; all but the last have at least CHUNK_CHARS_MIN. */
export function* splitText(text: string): Generator<string> {
  let start = 0;
  while (start < text.length) {
    // Only this much is looked at, so that the work grows with the text and not with its square.
    const window = text.slice(start, start + CHUNK_CHARS_MAX);
    const piece = cutLongRun(start + window.length < text.length ? divide(window) : window);
    yield piece;
    start += piece.length;
  }
}

/** The start of a window up to its last good division. There is more text behind the window. */
function divide(window: string): string {
  for (const division of DIVISIONS) {
    const end = lastEndOf(division, window);
    if (end >= CHUNK_CHARS_MIN) return window.slice(0, end);
  }
  return cutText(`${window} `, CHUNK_CHARS_MAX);
}

function lastEndOf(division: RegExp, window: string): number {
  let end = 0;
  for (const match of window.matchAll(division)) end = match.index + match[0].length;
  return end;
}
