import { Parser } from "htmlparser2";
import { oneLine } from "../cut-text.ts";
import { HEADING_CHARS_MAX } from "./chunk.ts";
import type { Section } from "./chunk.ts";
import { FileError } from "./file-error.ts";

/** As deep as browsers go. Deeper ones would cost time that grows with the square of the file. */
export const HTML_DEPTH_MAX = 512;

/** What they hold is not text for a reader. */
const DROPPED = new Set(["script", "style", "template", "noscript", "svg"]);
const HEADINGS = new Set(["h1", "h2", "h3", "h4", "h5", "h6"]);
/** A blank line is before and after. */
const BLOCKS = new Set(
  (
    "address article aside blockquote body details dialog dl fieldset figure footer form header hgroup hr main nav ol " +
    "p pre section table ul div"
  ).split(" "),
);
/** A line of its own. */
const LINES = new Set("br caption dd dt figcaption legend li option summary tr".split(" "));
const CELLS = new Set(["td", "th"]);

/**
 * Reads the text of an HTML document, section by section, with a blank line between its blocks.
 *
 * @param onSection is given each section as it ends: its heading is also the first line of its text
 * @returns the title: of `<title>`, or else of the first `<h1>`
 * @throws FileError html, for elements nested deeper than HTML_DEPTH_MAX
 */
export function parseHtml(html: string, onSection: (section: Section) => void): { title: string | null } {
  const writer = writeText();
  /** How many open elements of each sort the parser is in. */
  const within = { any: 0, dropped: 0, title: 0, pre: 0 };
  let title = "";
  let firstHeading = "";
  let heading: { level: string; text: string } | null = null;
  let sectionHeading = "";

  function endHeading(): void {
    if (heading === null) return;
    sectionHeading = heading.text;
    if (heading.level === "h1") firstHeading ||= heading.text.trim();
    heading = null;
  }

  function endSection(): void {
    const text = writer.take();
    if (text !== "") onSection({ heading: oneLine(sectionHeading, HEADING_CHARS_MAX), text });
    sectionHeading = "";
  }

  const parser = new Parser({
    onopentagname(name) {
      if (++within.any > HTML_DEPTH_MAX) {
        throw new FileError("html", `elements are nested deeper than ${HTML_DEPTH_MAX}`);
      }
      if (DROPPED.has(name)) within.dropped += 1;
      if (name === "title") within.title += 1;
      if (name === "pre") within.pre += 1;
      if (HEADINGS.has(name) && within.dropped === 0) {
        endHeading(); // One that was never closed.
        endSection();
        heading = { level: name, text: "" };
      }
      separate(name);
    },
    ontext(data) {
      if (within.dropped > 0) return;
      if (within.title > 0) {
        title += data;
        return;
      }
      if (heading !== null) heading.text += data;
      writer.text(data, within.pre > 0);
    },
    onclosetag(name) {
      within.any -= 1;
      if (DROPPED.has(name)) within.dropped -= 1;
      if (name === "title") within.title -= 1;
      if (name === "pre") within.pre -= 1;
      if (heading?.level === name) endHeading();
      separate(name);
    },
  });

  function separate(name: string): void {
    if (within.dropped > 0) return;
    if (BLOCKS.has(name) || HEADINGS.has(name)) writer.breakLine(2);
    else if (LINES.has(name)) writer.breakLine(1);
    else if (CELLS.has(name)) writer.space();
  }

  parser.end(html); // And it closes what is open.
  endSection();
  return { title: title.trim() || firstHeading || null };
}

/** Puts pieces of text together as a page shows them: white space collapses, except where it is kept. */
function writeText() {
  let text = "";
  let newlines = 0;
  let isSpaced = false;
  return {
    text(data: string, keepsSpace: boolean): void {
      const piece = keepsSpace ? data : data.replace(/\s+/g, " ");
      const content = keepsSpace ? piece : piece.trim();
      if (content === "") {
        isSpaced ||= piece !== "";
        return;
      }
      if (text !== "" && newlines > 0) text += "\n".repeat(newlines);
      else if (text !== "" && (isSpaced || (!keepsSpace && piece.startsWith(" ")))) text += " ";
      text += content;
      newlines = 0;
      isSpaced = !keepsSpace && piece.endsWith(" ");
    },
    breakLine(count: 1 | 2): void {
      newlines = Math.max(newlines, count);
    },
    space(): void {
      isSpaced = true;
    },
    /** The text so far, with a blank line at its end; and then there is none. */
    take(): string {
      const taken = text === "" ? "" : `${text}\n\n`;
      text = "";
      newlines = 0;
      isSpaced = false;
      return taken;
    },
  };
}
