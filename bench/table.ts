import { describeBar, holds } from "./bar.ts";
import type { Bar } from "./bar.ts";
import { setColumns } from "./columns.ts";
import { formatFigure, formatRatio, formatSpread } from "./format.ts";
import type { Result } from "./results.ts";

const HEADS = ["figure", "value", "rounds", "spread", "unit", "against", "its value", "ratio", "bar"] as const;
const TO_THE_RIGHT: ReadonlySet<number> = new Set([1, 2, 3, 6, 7]);

/** The results as a table, each comparison on a line of its own. CPU times have a table of their own. */
export function formatTable(results: readonly Result[]): string {
  return setColumns([[...HEADS], ...results.flatMap(rowsOf)], TO_THE_RIGHT);
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
