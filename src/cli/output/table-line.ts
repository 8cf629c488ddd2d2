import { padText } from "./text-width.ts";

/**
 * Returns one line of a table. The column widths are fixed, so a long list prints as it arrives and is never buffered.
 *
 * @param widths terminal columns of each table column
 */
export function tableLine(row: readonly string[], widths: readonly number[]): string {
  return `${row
    .map((cell, column) => padText(cell, widths[column]!))
    .join("  ")
    .trimEnd()}\n`;
}
