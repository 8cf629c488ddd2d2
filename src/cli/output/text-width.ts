import stringWidth from "string-width";

const GRAPHEMES = new Intl.Segmenter();

/** Truncates the text to at most `columns` of a terminal, with an ellipsis at the end if something was cut off. */
export function fitText(text: string, columns: number): string {
  if (stringWidth(text) <= columns) return text;
  let fitted = "";
  let width = 1;
  for (const { segment } of GRAPHEMES.segment(text)) {
    width += stringWidth(segment);
    if (width > columns) break;
    fitted += segment;
  }
  return `${fitted}…`;
}

/** Pads the text with spaces to `columns` of a terminal. */
export function padText(text: string, columns: number): string {
  return text + " ".repeat(Math.max(0, columns - stringWidth(text)));
}
