// What a task says (logs, phases, labels, errors) must not drive the terminal that shows it: no escape sequences, no
// line that looks like another, no text that runs backwards.

const UNSAFE = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;
const NAMED: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** The text on one line, with every control and direction character shown instead of obeyed. */
export function escapeText(text: string): string {
  return text.toWellFormed().replace(UNSAFE, (character) => NAMED[character] ?? unicodeEscape(character));
}

/** JSON text for a terminal: the same value, with what JSON leaves raw and a terminal would obey escaped. */
export function escapeJson(json: string): string {
  return json.replace(UNSAFE, (character) => (character === "\n" ? character : unicodeEscape(character)));
}

function unicodeEscape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
