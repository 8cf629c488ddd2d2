import type { Figure } from "../measure.ts";
import { PARTS } from "./meter.ts";
import type { CpuTime, Part } from "./meter.ts";

/** The row of the table of CPU times that a figure belongs to, and which part of it the figure is. */
export interface CpuPlace {
  of: string;
  part: Part;
}

const WHOSE: Readonly<Record<Part, string>> = {
  client: "the client",
  server: "the Spool server",
  database: "all processes of Postgres",
};

/** One figure for each part, which together are a row of the table. */
export function cpuFigures(
  of: string,
  { about, unit = "µs", without = [] }: { about: string; unit?: string; without?: readonly Part[] },
): Figure[] {
  return PARTS.filter((part) => !without.includes(part)).map((part) => ({
    name: figureName(of, part),
    unit,
    about: `CPU time of ${WHOSE[part]}: ${about}`,
    cpu: { of, part },
  }));
}

/** What cpuFigures named, by its names. */
export function cpuOutcome(of: string, cost: CpuTime, without: readonly Part[] = []): Record<string, number> {
  const parts = PARTS.filter((part) => !without.includes(part));
  return Object.fromEntries(parts.map((part) => [figureName(of, part), cost[part]]));
}

function figureName(of: string, part: Part): string {
  return `cpu-${of}-${part}`;
}
