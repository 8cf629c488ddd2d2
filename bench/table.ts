import type { Comparison } from "./measure.ts";

/** A measure after its rounds. */
export interface Result {
  name: string;
  unit: string;
  about: string;
  median: number;
  /** In the order of the rounds. */
  rounds: number[];
  comparisons: Compared[];
}

/** A figure beside another: what is left of the bar in the ratio. */
export interface Compared extends Pick<Comparison, "with" | "bar"> {
  figure: number;
  /** Whether the other figure is of the same run. */
  sameRun: boolean;
  ratio: number;
}

const HEADS = ["measure", "figure", "spread", "unit", "against", "its figure", "ratio", "bar"] as const;
const TO_THE_RIGHT: ReadonlySet<number> = new Set([1, 2, 5, 6]);

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

function rowsOf({ name, unit, median, rounds, comparisons }: Result): string[][] {
  const head = [name, formatFigure(median), formatSpread(median, rounds), unit];
  if (comparisons.length === 0) return [[...head, "", "", "", ""]];
  return comparisons.map((compared, index) => [
    ...(index === 0 ? head : head.map(() => "")),
    compared.sameRun ? compared.with : `${compared.with} *`,
    formatFigure(compared.figure),
    formatRatio(compared.ratio),
    formatBar(compared),
  ]);
}

/** Three digits that mean something. */
function formatFigure(figure: number): string {
  return figure.toLocaleString("en", figure >= 1_000 ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 3 });
}

/** How far the rounds lie apart, of their median: what a difference has to be larger than to mean something. */
function formatSpread(median: number, rounds: readonly number[]): string {
  if (rounds.length < 2) return "";
  return `±${Math.round(((Math.max(...rounds) - Math.min(...rounds)) / 2 / median) * 100)} %`;
}

function formatRatio(ratio: number): string {
  return ratio.toLocaleString("en", ratio >= 10 ? { maximumFractionDigits: 1 } : { maximumSignificantDigits: 2 });
}

function formatBar({ ratio, bar }: Compared): string {
  if (bar === undefined) return "";
  if ("atLeast" in bar) return `${ratio >= bar.atLeast ? "✓" : "✗"} at least ${bar.atLeast}`;
  return `${ratio <= bar.atMost ? "✓" : "✗"} at most ${bar.atMost}`;
}
