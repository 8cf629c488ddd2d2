/** The first charsMax UTF-16 code units of a text; one less where that would split a surrogate pair. */
export function cutText(text: string, charsMax: number): string {
  if (text.length <= charsMax) return text;
  return text.slice(0, isHighSurrogate(text.charCodeAt(charsMax - 1)) ? charsMax - 1 : charsMax);
}

/** A text as a label: one line of at most charsMax UTF-16 code units that Postgres can store and every endpoint carry. */
export function oneLine(text: string, charsMax: number): string {
  // Cut first as well: what is far too long for a label need not be read to its end.
  const start = cutText(text, 4 * charsMax);
  return cutText(
    start
      .toWellFormed()
      .replace(/[\s\p{Cc}]+/gu, " ")
      .trim(),
    charsMax,
  ).trimEnd();
}

/** Whether a code unit is the first half of a surrogate pair. */
export function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}
