// The texts of a task (logs, phases, labels, errors) must not control the terminal: no escape sequences, no forged lines,
// no reversed text.

const UNSAFE = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;
const NAMED: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** Returns the text as one line, with every control and direction character escaped. */
export function escapeText(text: string): string {
  return text.toWellFormed().replace(UNSAFE, (character) => NAMED[character] ?? unicodeEscape(character));
}

/** Escapes in a JSON text what JSON allows raw and a terminal would interpret. The value stays the same. */
export function escapeJson(json: string): string {
  return json.replace(UNSAFE, (character) => (character === "\n" ? character : unicodeEscape(character)));
}

function unicodeEscape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
