import type { Comparison, Figure, Measure } from "./measure.ts";
import { median } from "./statistics.ts";

/** What was taken of each figure, by its name, in the order of the rounds: fewer than there are of a measure that failed. */
export type Taken = Map<string, readonly number[]>;

/** A figure after its rounds. */
export interface Result extends Omit<Figure, "comparisons"> {
  median: number;
  /** In the order of the rounds. */
  rounds: readonly number[];
  comparisons: Compared[];
}

/** A figure beside another: what is left of the bar in the ratio. */
export interface Compared extends Pick<Comparison, "with" | "bar"> {
  figure: number;
  /** Whether the other figure is of the same run. */
  sameRun: boolean;
  ratio: number;
}

/** Of the figures that were taken at least once. */
export function resultsOf(measures: readonly Measure[], taken: Taken): Result[] {
  return measures.flatMap(({ figures }) =>
    figures.flatMap(({ comparisons = [], ...figure }) => {
      const rounds = taken.get(figure.name);
      if (rounds === undefined) return [];
      const compared = comparisons.flatMap((comparison) => compare(rounds, comparison, taken));
      return [{ ...figure, median: median(rounds), rounds, comparisons: compared }];
    }),
  );
}

/** Round by round, as far as the other was measured at all: what was slow for both in a round is in neither's favour. */
function compare(rounds: readonly number[], { with: other, noted, bar }: Comparison, taken: Taken): Compared[] {
  const others = noted === undefined ? taken.get(other) : [noted];
  if (others === undefined) return [];
  const usual = median(others);
  const ratio = median(rounds.map((figure, round) => figure / (others[round] ?? usual)));
  return [{ with: other, figure: usual, sameRun: noted === undefined, ratio, ...(bar && { bar }) }];
}
