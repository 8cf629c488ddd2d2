import { setColumns } from "../columns.ts";
import { formatFigure, formatSpread } from "../format.ts";
import type { Result } from "../results.ts";
import { median } from "../statistics.ts";
import { PARTS } from "./meter.ts";
import type { Part } from "./meter.ts";

/** The CPU time of one kind of work. */
export interface CpuRow {
  of: string;
  unit: string;
  /** Medians. Left out: the part has no share in this work. */
  parts: Partial<Record<Part, number | undefined>>;
  /** The median of the rounds' sums: not the sum of the medians. */
  total: number;
  /** The sums, in the order of the rounds. */
  rounds: readonly number[];
  /** Of the sum of the parts' medians, from 0 to 1. */
  shares: Partial<Record<Part, number | undefined>>;
}

/** Collects the figures that are CPU times, in the order of the results. */
export function cpuRowsOf(results: readonly Result[]): CpuRow[] {
  const grouped = Map.groupBy(
    results.filter(({ cpu }) => cpu !== undefined),
    ({ cpu }) => cpu!.of,
  );
  return [...grouped].map(([of, figures]) => {
    const rounds = figures[0]!.rounds.map((_, round) =>
      figures.reduce((sum, { rounds }) => sum + (rounds[round] ?? Number.NaN), 0),
    );
    const sum = figures.reduce((sum, { median }) => sum + median, 0);
    const each = (value: (median: number) => number) =>
      Object.fromEntries(figures.map(({ cpu, median }) => [cpu!.part, value(median)])) as CpuRow["parts"];
    return {
      of,
      unit: figures[0]!.unit,
      parts: each((part) => part),
      total: median(rounds),
      rounds,
      shares: each((part) => (sum === 0 ? 0 : part / sum)),
    };
  });
}

const HEADS = ["CPU time", "unit", "total", "spread", ...PARTS.flatMap((part) => [part, "share"])];

const LEFT = 2;

/** The rows as a table: of each part its time, and its share of the total. */
export function formatCpuTable(rows: readonly CpuRow[]): string {
  return setColumns([HEADS, ...rows.map(cellsOf)], new Set(HEADS.keys().drop(LEFT)));
}

function cellsOf({ of, unit, parts, total, rounds, shares }: CpuRow): string[] {
  const cells = PARTS.flatMap((part) => {
    const [time, share] = [parts[part], shares[part]];
    return time === undefined || share === undefined ? ["", ""] : [formatFigure(time), formatShare(share)];
  });
  return [of, unit, formatFigure(total), formatSpread(total, rounds), ...cells];
}

export function formatShare(share: number): string {
  return `${Math.round(share * 100)} %`;
}
