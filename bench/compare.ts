import { setColumns } from "./columns.ts";
import { formatShare } from "./cpu/rows.ts";
import { PARTS } from "./cpu/meter.ts";
import type { Document } from "./document.ts";
import { formatFigure, formatRatio, formatSpread } from "./format.ts";
import { describeRun } from "./report.ts";

type Figure = Document["results"][number];
type CpuRow = Document["cpu"][number];

const FIGURE_HEADS = ["figure", "unit", "A", "spread", "B", "spread", "A / B"];
const CPU_HEADS = ["CPU time", "unit", "A", "spread", "B", "spread", "A / B", "A: shares", "B: shares"];
const NUMBERS = new Set([2, 3, 4, 5, 6, 7, 8]);

/** Sets two runs side by side: their machines, the figures that either has, ratios within each run, and CPU times. */
export function compareDocuments(a: Document, b: Document): string {
  const plain = ({ results }: Document) => results.filter(({ cpu }) => cpu === undefined);
  const figures = pairs(plain(a), plain(b), ({ name }) => name).flatMap(figureRows);
  const times = pairs(a.cpu, b.cpu, ({ of }) => of).map(cpuCells);
  const parts = [describe("A", a), describe("B", b)];
  if (figures.length > 0) parts.push(setColumns([FIGURE_HEADS, ...figures], NUMBERS));
  if (times.length > 0) parts.push(setColumns([CPU_HEADS, ...times], NUMBERS), `shares: ${PARTS.join(" / ")}`);
  return parts.join("\n\n");
}

function describe(letter: string, document: Document): string {
  const { takenAt, seconds, loadBefore, loadAfter, options, machine, failures } = document;
  const { names, rounds, small, shards, postgres, servers, clients } = options;
  const size = `shards ${shards}, Postgres ${postgres}, Spool servers ${servers}`;
  const elsewhere = clients === null ? "" : `, clients elsewhere ${clients}`;
  const lines = [
    `${letter}: ${takenAt.slice(0, 16).replace("T", " ")} UTC, ${rounds} rounds in ${seconds} s, load ${loadBefore} before and ${loadAfter} after`,
    ...describeRun({ machine }),
    `${machine.system}; ${size}${elsewhere}${names.length === 0 ? "" : `; measures: ${names.join(" ")}`}`,
    ...(small ? ["small sizes: the figures mean nothing"] : []),
    ...failures.map(({ measure, error }) => `✗ ${measure} failed: ${error}`),
  ];
  return lines.join("\n   ");
}

/** What has the same key in both lists, and what is in one of them alone: in the order of the first, then the second. */
function pairs<Item>(a: readonly Item[], b: readonly Item[], keyOf: (item: Item) => string) {
  const [inA, inB] = [a, b].map((items) => new Map(items.map((item) => [keyOf(item), item]))) as [
    Map<string, Item>,
    Map<string, Item>,
  ];
  return [...new Set([...inA.keys(), ...inB.keys()])].map((key) => ({ a: inA.get(key), b: inB.get(key) }));
}

function figureRows({ a, b }: { a?: Figure | undefined; b?: Figure | undefined }): string[][] {
  const { name, unit } = (a ?? b)!;
  const ratios = pairs(a?.comparisons ?? [], b?.comparisons ?? [], (one) => one.with).map((pair) => {
    const cell = (ratio: number | undefined) => (ratio === undefined ? "" : formatRatio(ratio));
    const [one, other] = [pair.a?.ratio, pair.b?.ratio];
    return [`  / ${(pair.a ?? pair.b)!.with}`, "ratio", cell(one), "", cell(other), "", quotient(one, other)];
  });
  return [[name, unit, ...valueCells(a), ...valueCells(b), quotient(a?.median, b?.median)], ...ratios];
}

function cpuCells({ a, b }: { a?: CpuRow | undefined; b?: CpuRow | undefined }): string[] {
  const { of, unit } = (a ?? b)!;
  const cells = (row: CpuRow | undefined) => valueCells(row && { median: row.total, rounds: row.rounds });
  return [of, unit, ...cells(a), ...cells(b), quotient(a?.total, b?.total), sharesOf(a), sharesOf(b)];
}

function sharesOf(row: CpuRow | undefined): string {
  if (row === undefined) return "";
  return PARTS.map((part) => formatShare(row.shares[part] ?? 0)).join(" / ");
}

function valueCells(value: Pick<Figure, "median" | "rounds"> | undefined): [string, string] {
  return value === undefined ? ["", ""] : [formatFigure(value.median), formatSpread(value.median, value.rounds)];
}

function quotient(one: number | undefined, other: number | undefined): string {
  return one === undefined || other === undefined || other === 0 ? "" : formatRatio(one / other);
}
