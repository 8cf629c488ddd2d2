import { parseDocument } from "yaml";
import type { JsonObject, JsonValue } from "../../domain/json.ts";
import { FileError } from "./file-error.ts";

/** Of YAML, whose parser is slower than its text is long. */
export const FRONT_MATTER_CHARS_MAX = 64 * 1024;
/** The nodes that aliases may stand for: a few lines of them can mean billions. */
const ALIASES_MAX = 100;

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
  try {
    const document = parseDocument(source, { logLevel: "error" });
    const [error] = document.errors;
    if (error !== undefined) throw error;
    // YAML can mean more than JSON (dates, NaN, sets): it is stored as JSON says it.
    const json = JSON.stringify(document.toJS({ maxAliasCount: ALIASES_MAX })) as string | undefined;
    if (json !== undefined && NOT_TEXT.test(json)) throw new Error("a character in it cannot be stored");
    return JSON.parse(json ?? "null") as JsonValue;
  } catch (error) {
    // Whatever the parser throws is about the text, also the stack that a deep nesting exhausts. The first line says
    // what and where; the rest of it shows the text.
    const problem = String(error instanceof Error ? error.message : error).split("\n", 1)[0];
    throw new FileError("front_matter", `the front matter cannot be read: ${problem?.replace(/:$/, "")}`);
  }
}
