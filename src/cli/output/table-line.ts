import { padText } from "./text-width.ts";

/** Columns of a fixed width, so that a long list begins at once and is never held whole. @param widths of each column */
export function tableLine(row: readonly string[], widths: readonly number[]): string {
  return `${row
    .map((cell, column) => padText(cell, widths[column]!))
    .join("  ")
    .trimEnd()}\n`;
}
