/** Three digits that mean something. */
export function formatFigure(figure: number): string {
  return figure.toLocaleString("en", figure >= 1_000 ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 3 });
}

export function formatRatio(ratio: number): string {
  return ratio.toLocaleString("en", ratio >= 10 ? { maximumFractionDigits: 1 } : { maximumSignificantDigits: 3 });
}

/** How far the rounds lie apart, of their median: what a difference has to be larger than to mean something. */
export function formatSpread(median: number, rounds: readonly number[]): string {
  if (rounds.length < 2) return "";
  return `±${Math.round(((Math.max(...rounds) - Math.min(...rounds)) / 2 / median) * 100)} %`;
}
