import type { Servers } from "./servers.ts";

/** What a figure is held against: another measure of the same run, or a peer whose figure was taken elsewhere. */
export interface Comparison {
  /** The name of the measure, or of the peer. */
  with: string;
  /** A peer's figure, noted on another day: the ratio tells an order of magnitude. Left out: measured in this run. */
  noted?: number;
  /** What the ratio is meant to be. Shown beside it, and nothing more. */
  bar?: { atLeast: number } | { atMost: number };
}

/** One figure of the benchmark. */
export interface Measure {
  /** Lower case and dashes; what the command line names. */
  name: string;
  unit: string;
  /** What it does, in one sentence. */
  about: string;
  comparisons?: readonly Comparison[];
  prepare(servers: Servers): Promise<Prepared>;
}

/** A measure that can be taken, as often as there are rounds. */
export interface Prepared {
  run(): Promise<number>;
  close(): void | Promise<void>;
}
