import type { Measure } from "./measure.ts";
import { MEASURES } from "./measures.ts";

/** Which measures are wanted besides those that are named. */
export interface Wanted {
  /** Of measures and figures. None: all that are not heavy. */
  names: readonly string[];
  all: boolean;
  peers: boolean;
  /** Only these, without what they are compared with. */
  only: boolean;
}

export function isKnown(name: string): boolean {
  return MEASURES.some((measure) => isNamed(measure, [name]));
}

/**
 * The measures that are wanted, and what they are compared with; heavy ones and peers only where they are wanted
 * themselves.
 */
export function selectMeasures({ names, all, peers, only }: Wanted): Measure[] {
  const wanted = MEASURES.filter(
    (measure) =>
      all ||
      isNamed(measure, names) ||
      (peers && measure.only === "peer") ||
      (names.length === 0 && measure.only === undefined),
  );
  if (only) return wanted;
  const others = wanted.flatMap(({ figures }) => figures.flatMap(({ comparisons = [] }) => comparisons));
  const compared = others.map((comparison) => comparison.with);
  return MEASURES.filter(
    (measure) => wanted.includes(measure) || (measure.only === undefined && isNamed(measure, compared)),
  );
}

function isNamed({ name, figures }: Measure, names: readonly string[]): boolean {
  return names.includes(name) || figures.some((figure) => names.includes(figure.name));
}
