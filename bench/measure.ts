import type { Bar } from "./bar.ts";
import type { CpuPlace } from "./cpu/figures.ts";
import type { Servers } from "./servers.ts";

/** What a figure is held against: another figure of the same run, or a peer's that was taken elsewhere. */
export interface Comparison {
  /** The name of the figure, or of the peer. */
  with: string;
  /** A peer's figure, noted on another day: the ratio tells an order of magnitude. Left out: measured in this run. */
  noted?: number;
  /** What the ratio is meant to be. */
  bar?: Bar;
}

/** One number of the benchmark. */
export interface Figure {
  /** Lower case, digits and dashes. No two figures share one. */
  name: string;
  unit: string;
  /** What it says, in one sentence. */
  about: string;
  comparisons?: readonly Comparison[];
  /** What the figure itself is meant to be, whatever it is compared with. */
  bar?: Bar;
  /** Of a CPU time: its place in the table of CPU times. Left out: it is a figure of the other table. */
  cpu?: CpuPlace;
}

/** When a measure is taken, and how often. */
export interface Schedule {
  /** How often it is taken at the most, however many rounds there are. Left out: once a round. */
  roundsMax?: number;
  /** `heavy`: only where it is named, or all are wanted. `peer`: where peers are wanted, too. Left out: always. */
  only?: "heavy" | "peer";
}

/** A piece of work that gives one figure or several. */
export interface Measure extends Schedule {
  /** What the command line names. */
  name: string;
  about: string;
  figures: readonly Figure[];
  /**
   * @param size how much is done: of a number, that number, or a small part of it where one only tries it out
   * @param limits how long or large the measures are that let the caller choose
   */
  prepare(servers: Servers, size: Size, limits: Limits): Promise<Prepared<Readonly<Record<string, number>>>>;
}

export type Size = (full: number) => number;

/** What the command line says about the measures that let the caller choose. Left out: their defaults. */
export interface Limits {
  minutes?: number | undefined;
  events?: number | undefined;
  /** Of each kind of work of clients elsewhere. */
  seconds?: number | undefined;
  /** How many clients elsewhere there are. */
  clients?: number | undefined;
}

/** A measure that can be taken, as often as there are rounds. */
export interface Prepared<Outcome> {
  /** What came out: each figure by its name. */
  run(): Promise<Outcome>;
  close(): void | Promise<void>;
}

/** A measure of one figure, which has its name. */
export function single({
  roundsMax,
  only,
  prepare,
  ...figure
}: Figure & Schedule & { prepare(servers: Servers, size: Size): Promise<Prepared<number>> }): Measure {
  return {
    name: figure.name,
    about: figure.about,
    figures: [figure],
    ...(roundsMax !== undefined && { roundsMax }),
    ...(only !== undefined && { only }),
    async prepare(servers, size) {
      const { run, close } = await prepare(servers, size);
      return { run: async () => ({ [figure.name]: await run() }), close };
    },
  };
}
