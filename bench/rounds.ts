import type { Measure, Size } from "./measure.ts";
import type { Taken } from "./results.ts";
import type { Servers } from "./servers.ts";

/**
 * Takes measures in turn, each once a round or as often as it may be taken.
 *
 * @param onStep is told what is being done
 */
export async function takeRounds(
  measures: readonly Measure[],
  { servers, rounds, size, onStep }: { servers: Servers; rounds: number; size: Size; onStep: (step: string) => void },
): Promise<Taken> {
  const taken = new Map<string, number[]>();
  await using opened = new AsyncDisposableStack();
  const prepared = [];
  for (const measure of measures) {
    onStep(`prepares ${measure.name}`);
    const { run, close } = await measure.prepare(servers, size);
    opened.defer(close);
    prepared.push({ measure, run });
  }
  for (let round = 1; round <= rounds; round++) {
    for (const { measure, run } of prepared) {
      if (round > (measure.roundsMax ?? rounds)) continue;
      onStep(`round ${round} of ${rounds}: ${measure.name}`);
      const outcome = await run();
      for (const { name } of measure.figures) taken.set(name, [...(taken.get(name) ?? []), outcome[name]!]);
    }
  }
  return taken;
}
