/** What a figure or a ratio is meant to be. */
export type Bar = { atLeast: number } | { atMost: number };

/** A figure that is no number holds no bar. */
export function holds(bar: Bar, value: number): boolean {
  return "atLeast" in bar ? value >= bar.atLeast : value <= bar.atMost;
}

export function boundOf(bar: Bar): number {
  return "atLeast" in bar ? bar.atLeast : bar.atMost;
}

export function describeBar(bar: Bar): string {
  return `${"atLeast" in bar ? "at least" : "at most"} ${boundOf(bar)}`;
}
