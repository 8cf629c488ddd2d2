import { oneLine } from "../cut-text.ts";
import { HEADING_CHARS_MAX } from "./chunk.ts";
import type { Section } from "./chunk.ts";

const HEADING = /^ {0,3}#{1,6}(?=[ \t]|$)/;
const UNDERLINE = /^ {0,3}(?:=+|-{2,})[ \t]*$/;
const FENCE = /^ {0,3}(`{3,}|~{3,})/;
/** What an underline may not make a heading of: a line that is blank, or part of a table, quotation or list. */
const NO_HEADING = /^(?:[ \t]*$|[ \t]*[|>*+-]| {0,3}#{1,6}[ \t]| {4}|\t)/;
/** A line is read as far as a heading could matter: the patterns stay cheap on a line of megabytes. */
const LINE_CHARS_READ = 4 * HEADING_CHARS_MAX;

/**
 * Splits a Markdown text before each heading, but not inside a code block between fences. The texts of the sections,
 * one after the other, are the text itself: nothing is lost, and a mistaken heading only moves a boundary.
 */
export function* sectionsOf(text: string): Generator<Section> {
  let start = 0;
  let heading = "";
  let fence: string | null = null;
  let before = { at: 0, line: "" };
  for (const { at, line } of linesOf(text)) {
    const mark = FENCE.exec(line)?.[1];
    let next: { at: number; heading: string } | null = null;
    if (fence !== null) {
      if (mark?.startsWith(fence) && line.trim() === mark) fence = null;
    } else if (mark !== undefined) {
      // After backticks, more of them on the line make it code within a paragraph.
      if (mark.startsWith("~") || !line.slice(line.indexOf(mark) + mark.length).includes("`")) fence = mark;
    } else if (HEADING.test(line)) {
      next = {
        at,
        heading: line
          .replace(HEADING, "")
          .trim()
          .replace(/(?:^|\s)#+$/, ""),
      };
    } else if (UNDERLINE.test(line) && !NO_HEADING.test(before.line) && before.at >= start) {
      next = { at: before.at, heading: before.line };
    }
    if (next !== null) {
      if (next.at > start) yield { heading, text: text.slice(start, next.at) };
      start = next.at;
      heading = oneLine(next.heading, HEADING_CHARS_MAX);
    }
    // What an underline has made a heading of, or what a fence holds, is not a line for another underline.
    before = next === null && fence === null && mark === undefined ? { at, line } : { at, line: "" };
  }
  if (start < text.length) yield { heading, text: text.slice(start) };
}

/** The start of each line, without its end, and where it is. */
function* linesOf(text: string): Generator<{ at: number; line: string }> {
  for (let at = 0; at < text.length;) {
    const newline = text.indexOf("\n", at);
    const end = newline === -1 ? text.length : newline;
    const line = text.slice(at, Math.min(end, at + LINE_CHARS_READ));
    yield { at, line: line.endsWith("\r") ? line.slice(0, -1) : line };
    at = end + 1;
  }
}
