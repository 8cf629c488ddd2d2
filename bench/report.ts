import { loadNow } from "./machine.ts";
import type { Machine } from "./machine.ts";
import type { Result } from "./results.ts";

/** A run of the benchmark, for programs: this is what is written as JSON, and drawn. */
export interface Report {
  machine: Machine;
  /** When it ended, in UTC. */
  takenAt: string;
  /** How often each was taken, where a measure does not say that it is taken less often. */
  rounds: number;
  /** Whether sizes were cut down: then the figures mean nothing. */
  small: boolean;
  seconds: number;
  loadBefore: number;
  loadAfter: number;
  results: readonly Result[];
  /** What could not be taken to its end, and why. */
  failures: readonly { measure: string; round: number | null; error: string }[];
}

/** @param startedAt of performance.now */
export function reportOf({
  startedAt,
  ...report
}: Omit<Report, "takenAt" | "seconds" | "loadAfter"> & { startedAt: number }): Report {
  return {
    ...report,
    takenAt: new Date().toISOString(),
    seconds: Math.round((performance.now() - startedAt) / 1_000),
    loadAfter: loadNow(),
  };
}

/** The machine and the versions, in two lines. */
export function describeRun({ machine }: Pick<Report, "machine">): string[] {
  const { processor, cores, memoryGib, versions, commit } = machine;
  const parts = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return [`${processor}, ${cores} cores, ${memoryGib} GiB`, `commit ${commit}; ${parts.join(", ")}`];
}
