const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const MINUS = 0x2d;
const DIGIT_0 = 0x30;
const DIGIT_9 = 0x39;
const LIST_START = 0x5b;
const LIST_END = 0x5d;
const OBJECT_START = 0x7b;
const OBJECT_END = 0x7d;

/** A shorter number is below 2^53 unless it has an exponent. */
const LONG_NUMBER_CHARS = 16;
/** No field has a longer name. */
const KEY_CHARS_MAX = 256;

/** A problem in the JSON text of a request, and the member that has it. */
export interface JsonFinding {
  problem: "values" | "rounded";
  /** The key of the member of the outermost object, as written; "" outside of any member. */
  member: string;
}

/**
 * Scans JSON before it is parsed, in time proportional to its bytes, and allocates nothing per value.
 *
 * @param valuesMax how many values are allowed at all depths
 * @param isInteger whether the member of the outermost object with this key is a 64-bit integer. A number there that a
 *   double cannot hold exactly is a finding
 * @returns the first finding; null: none. Invalid JSON is left to the parser
 */
export function scanJson(
  bytes: Uint8Array,
  { valuesMax, isInteger }: { valuesMax: number; isInteger: (member: string) => boolean },
): JsonFinding | null {
  let values = 0;
  let depth = 0;
  let keyStart = 0;
  let keyEnd = 0;
  const finding = (problem: JsonFinding["problem"]) => ({ problem, member: keyOf(bytes, keyStart, keyEnd) });
  for (let at = 0; at < bytes.length;) {
    const byte = bytes[at]!;
    if (byte === QUOTE) {
      const start = at + 1;
      const end = endOfText(bytes, start);
      at = end + 1;
      while (at < bytes.length && bytes[at]! <= 0x20) at++;
      if (bytes[at] === COLON) {
        if (depth === 1) [keyStart, keyEnd] = [start, end];
        continue;
      }
      values++;
    } else if (byte === LIST_START || byte === OBJECT_START) {
      depth++;
      values++;
      at++;
    } else if (byte === LIST_END || byte === OBJECT_END) {
      depth--;
      at++;
    } else if (byte <= 0x20 || byte === COMMA || byte === COLON) {
      at++;
      continue;
    } else {
      const end = endOfWord(bytes, at);
      values++;
      const isNumber = byte === MINUS || (byte >= DIGIT_0 && byte <= DIGIT_9);
      if (depth === 1 && isNumber && isRounded(bytes, at, end) && isInteger(keyOf(bytes, keyStart, keyEnd))) {
        return finding("rounded");
      }
      at = end;
    }
    if (values > valuesMax) return finding("values");
  }
  return null;
}

/** Returns the position of the quote that ends a text, or the end of the bytes. */
function endOfText(bytes: Uint8Array, start: number): number {
  for (let at = start; ;) {
    const quote = bytes.indexOf(QUOTE, at);
    if (quote === -1) return bytes.length;
    let slashes = 0;
    while (bytes[quote - 1 - slashes] === BACKSLASH && quote - 1 - slashes >= start) slashes++;
    if (slashes % 2 === 0) return quote;
    at = quote + 1;
  }
}

/** Returns the end of a number, `true`, `false` or `null`. */
function endOfWord(bytes: Uint8Array, start: number): number {
  let at = start + 1;
  for (; at < bytes.length; at++) {
    const byte = bytes[at]!;
    if (byte <= 0x20 || byte === COMMA || byte === LIST_END || byte === OBJECT_END || byte === QUOTE) break;
    if (byte === COLON || byte === LIST_START || byte === OBJECT_START) break;
  }
  return at;
}

function isRounded(bytes: Uint8Array, start: number, end: number): boolean {
  const text = textOf(bytes, start, Math.min(end, start + KEY_CHARS_MAX));
  if (text.length < LONG_NUMBER_CHARS && !/e/i.test(text)) return false;
  return Math.abs(Number(text)) > Number.MAX_SAFE_INTEGER;
}

/** Returns a key. It may be written with escapes. */
function keyOf(bytes: Uint8Array, start: number, end: number): string {
  const text = textOf(bytes, start, end);
  try {
    return text.includes("\\") ? (JSON.parse(`"${text}"`) as string) : text;
  } catch {
    return text; // Not valid JSON.
  }
}

function textOf(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, Math.min(end - start, KEY_CHARS_MAX)).toString();
}
