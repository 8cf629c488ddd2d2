import { describeBar, holds } from "./bar.ts";
import type { Bar } from "./bar.ts";
import { formatFigure, formatRatio } from "./format.ts";
import type { Result } from "./results.ts";

/** A bar, and whether what was measured holds it. */
interface Verdict {
  what: string;
  /** As it is to be read: a ratio, or the figure itself with its unit. */
  value: string;
  bar: Bar;
  held: boolean;
}

/** Of all that has a bar in this run. A ratio to a figure noted on another machine is none: it proves nothing here. */
export function verdictsOf(results: readonly Result[]): Verdict[] {
  return results.flatMap(({ name, unit, median, bar, comparisons }) => [
    ...(bar ? [{ what: name, value: `${formatFigure(median)} ${unit}`, bar, held: holds(bar, median) }] : []),
    ...comparisons.flatMap(({ with: other, ratio, sameRun, bar }) =>
      bar && sameRun ? [{ what: `${name} / ${other}`, value: formatRatio(ratio), bar, held: holds(bar, ratio) }] : [],
    ),
  ]);
}

/** A line for each, and how many hold. */
export function formatVerdicts(verdicts: readonly Verdict[]): string {
  const [names, values] = [verdicts.map(({ what }) => what.length), verdicts.map(({ value }) => value.length)];
  const lines = verdicts.map(
    ({ what, value, bar, held }) =>
      `${held ? "✓" : "✗"} ${what.padEnd(Math.max(...names))}  ${value.padStart(Math.max(...values))}  ${describeBar(bar)}`,
  );
  return [...lines, `${verdicts.filter(({ held }) => held).length} of ${verdicts.length} bars hold`].join("\n");
}
