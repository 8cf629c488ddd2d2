import { describeBar, holds } from "./bar.ts";
import type { Bar } from "./bar.ts";
import { formatFigure, formatRatio, formatSpread } from "./format.ts";
import type { Result } from "./results.ts";

const HEADS = ["figure", "value", "rounds", "spread", "unit", "against", "its value", "ratio", "bar"] as const;
const TO_THE_RIGHT: ReadonlySet<number> = new Set([1, 2, 3, 6, 7]);

/** The results as a table, each comparison on a line of its own. */
export function formatTable(results: readonly Result[]): string {
  const rows = [[...HEADS], ...results.flatMap(rowsOf)];
  const widths = HEADS.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) => (TO_THE_RIGHT.has(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
      .join("  ")
      .trimEnd(),
  );
  const rule = widths.map((width) => "─".repeat(width)).join("──");
  return [lines[0], rule, ...lines.slice(1)].join("\n");
}

function rowsOf({ name, unit, median, rounds, bar, comparisons }: Result): string[][] {
  const head = [name, formatFigure(median), `${rounds.length}`, formatSpread(median, rounds), unit];
  const held = comparisons.map((compared) => [
    compared.sameRun ? compared.with : `${compared.with} *`,
    formatFigure(compared.figure),
    formatRatio(compared.ratio),
    formatBar(compared.bar, compared.ratio),
  ]);
  if (bar !== undefined || held.length === 0) held.unshift(["", "", "", formatBar(bar, median)]);
  return held.map((cells, index) => [...(index === 0 ? head : head.map(() => "")), ...cells]);
}

function formatBar(bar: Bar | undefined, value: number): string {
  return bar === undefined ? "" : `${holds(bar, value) ? "✓" : "✗"} ${describeBar(bar)}`;
}
