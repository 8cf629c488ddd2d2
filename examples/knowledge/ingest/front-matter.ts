import { JSON_DEPTH_MAX } from "@spooltape/client";
import type { JsonObject, JsonValue } from "@spooltape/client";
import { isCollection, isPair, isScalar, LineCounter, parseDocument } from "yaml";
import { FileError } from "./file-error.ts";

/** Of YAML, whose parser's time grows with the square of some texts: of commas, or of an open quotation. */
export const FRONT_MATTER_CHARS_MAX = 16 * 1024;
/** The nodes that aliases may stand for: a few lines of them can mean billions. */
const ALIASES_MAX = 100;
/** Of `- - -` and `? ? ?` on a line more than so many are nesting and nothing else. */
const NESTED_INLINE = new RegExp(`(?:[-?:][ \\t]+){${JSON_DEPTH_MAX + 1}}`);

const OPENING = /^---[ \t]*\r?\n/;
const CLOSING = /^(?:---|\.\.\.)[ \t]*\r?$/gm;

/**
 * Takes the YAML between `---` and `---` (or `...`) off the start of a Markdown text. A text whose first `---` is never
 * closed begins with a rule and has no front matter.
 *
 * @returns the front matter, which holds JSON only, and the text that follows it, unchanged
 * @throws FileError front_matter, for what is not YAML, not a mapping, or longer than FRONT_MATTER_CHARS_MAX
 */
export function splitFrontMatter(text: string): { frontMatter: JsonObject; body: string } {
  const opening = OPENING.exec(text);
  if (opening === null) return { frontMatter: {}, body: text };
  const start = opening[0].length;
  CLOSING.lastIndex = start;
  const closing = CLOSING.exec(text);
  if (closing === null) return { frontMatter: {}, body: text };
  const source = text.slice(start, closing.index);
  const end = closing.index + closing[0].length;
  return { frontMatter: parseYaml(source), body: text.slice(text[end] === "\n" ? end + 1 : end) };
}

/** NUL and half surrogate pairs, as JSON.stringify writes them: with one in it, no SQL can read a json value's text. */
const NOT_TEXT = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/;

function parseYaml(source: string): JsonObject {
  if (source.length > FRONT_MATTER_CHARS_MAX) {
    throw new FileError("front_matter", `the front matter is longer than ${FRONT_MATTER_CHARS_MAX} characters`);
  }
  const value = toJson(source);
  if (value === null) return {};
  if (typeof value !== "object" || Array.isArray(value)) {
    throw new FileError("front_matter", "the front matter is not a mapping of names to values");
  }
  return value;
}

function toJson(source: string): JsonValue {
  // Before it is parsed, which takes time for each open bracket and the stack for each level.
  if (opensTooMany(source) || NESTED_INLINE.test(source)) throw nestedTooDeep();
  try {
    const lineCounter = new LineCounter();
    // The library's pretty errors copy the lines around each, of which there may be one a character.
    const document = parseDocument(source, { logLevel: "error", prettyErrors: false, lineCounter });
    const [error] = document.errors;
    if (error !== undefined) {
      const { line, col } = lineCounter.linePos(error.pos[0]);
      throw new Error(`${firstLine(error.message)} at line ${line}, column ${col}`);
    }
    checkNodes(document.contents, 0);
    // YAML can mean more than JSON (dates, NaN, sets): it is stored as JSON says it.
    const json = JSON.stringify(document.toJS({ maxAliasCount: ALIASES_MAX })) as string | undefined;
    if (json !== undefined && NOT_TEXT.test(json)) throw new Error("a character in it cannot be stored");
    return JSON.parse(json ?? "null") as JsonValue;
  } catch (error) {
    if (error instanceof FileError) throw error;
    // Whatever the parser throws is about the text, also the stack that a deep nesting exhausts.
    throw unreadable(firstLine(error instanceof Error ? error.message : String(error)));
  }
}

/** What says what and where; the rest of a message shows the text. */
function firstLine(message: string): string {
  return message.split("\n", 1)[0]!.replace(/:$/, "");
}

function unreadable(problem: string): FileError {
  return new FileError("front_matter", `the front matter cannot be read: ${problem}`);
}

function nestedTooDeep(): FileError {
  return unreadable(`it is nested deeper than ${JSON_DEPTH_MAX}`);
}

/** Whether so many brackets are open at once, in quotations too. */
function opensTooMany(source: string): boolean {
  let open = 0;
  for (const [bracket] of source.matchAll(/[[\]{}]/g)) {
    if (bracket === "]" || bracket === "}") open = Math.max(0, open - 1);
    else if (++open > JSON_DEPTH_MAX) return true;
  }
  return false;
}

/** A key that is a mapping or a list is made a text with all that is in it, again at every level that it is nested. */
function checkNodes(node: unknown, depth: number): void {
  if (depth > JSON_DEPTH_MAX) throw nestedTooDeep();
  if (!isCollection(node)) return;
  for (const item of node.items) {
    if (!isPair(item)) checkNodes(item, depth + 1);
    else if (item.key === null || isScalar(item.key)) checkNodes(item.value, depth + 1);
    else throw unreadable("a key of it is not a text");
  }
}
