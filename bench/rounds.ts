import type { Figure, Measure, Prepared } from "./measure.ts";
import type { Taken } from "./results.ts";

/** A measure that could not be taken to its end. */
export interface Failure {
  /** The name of the measure. */
  measure: string;
  /** Null: it could not be prepared, or not be closed. */
  round: number | null;
  error: unknown;
}

/** Whoever is told of a run while it lasts. */
export interface Watcher {
  /** What is done now. */
  onStep(step: string): void;
  /** What a measure has given in a round. */
  onTaken(round: number, figures: readonly (Pick<Figure, "name" | "unit"> & { value: number })[]): void;
  onFailure(failure: Failure): void;
}

interface Run {
  rounds: number;
  prepare(measure: Measure): Promise<Prepared<Readonly<Record<string, number>>>>;
  /** Is filled with what the measures give. */
  taken: Taken;
  watcher: Watcher;
}

/**
 * Takes measures in turn, each once a round or as often as it may be taken. A measure that fails is told of and taken no
 * more: the others go on, and what it gave before stands.
 */
export async function takeRounds(
  measures: readonly Measure[],
  { rounds, prepare, taken, watcher }: Run,
): Promise<void> {
  const failed = new Set<Measure>();
  const attempt = async (measure: Measure, round: number | null, step: () => void | Promise<void>) => {
    try {
      await step();
    } catch (error) {
      failed.add(measure);
      watcher.onFailure({ measure: measure.name, round, error });
    }
  };
  const prepared = new Map<Measure, Prepared<Readonly<Record<string, number>>>>();
  for (const measure of measures) {
    watcher.onStep(`prepares ${measure.name}`);
    await attempt(measure, null, async () => void prepared.set(measure, await prepare(measure)));
  }
  for (let round = 1; round <= rounds; round++) {
    for (const [measure, { run }] of prepared) {
      if (failed.has(measure) || round > (measure.roundsMax ?? rounds)) continue;
      watcher.onStep(`round ${round} of ${rounds}: ${measure.name}`);
      await attempt(measure, round, async () => {
        const outcome = await run();
        const figures = measure.figures.map(({ name, unit }) => ({ name, unit, value: outcome[name]! }));
        for (const { name, value } of figures) taken.set(name, [...(taken.get(name) ?? []), value]);
        watcher.onTaken(round, figures);
      });
    }
  }
  for (const [measure, { close }] of [...prepared].toReversed()) await attempt(measure, null, close);
}
