// Formats numbers for people, with their units.

const UNITS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
  ["s", 1_000],
] as const;

/** Formats a duration: `0.4 ms`, `250 ms`, `3.2 s`, `12 min`, `1.5 h`, `2 d`. */
export function durationText(ms: number): string {
  const unit = UNITS.find(([, unitMs]) => ms >= unitMs);
  if (unit === undefined) return `${ms < 10 ? Number(ms.toFixed(1)) : Math.round(ms)} ms`;
  const count = ms / unit[1];
  return `${count < 10 ? Number(count.toFixed(1)) : Math.floor(count)} ${unit[0]}`;
}

/** Formats a size: `0 bytes`, `512 bytes`, `1.5 MiB`, `120 MiB`. */
export function bytesText(bytes: number): string {
  const mebibytes = bytes / (1024 * 1024);
  if (mebibytes < 0.1) return countText(bytes, "byte");
  return `${mebibytes < 10 ? Number(mebibytes.toFixed(1)) : Math.round(mebibytes)} MiB`;
}

/** Formats a count: `12,000`. */
export function countOf(count: number): string {
  return count.toLocaleString("en-US");
}

/** Formats a count with its noun: `1 task`, `3 tasks`, `1,000 tasks or more`. @param countedMax where counting stops */
export function countText(count: number, noun: string, countedMax = Infinity): string {
  const counted = `${countOf(count)} ${noun}${count === 1 ? "" : "s"}`;
  return count >= countedMax ? `${counted} or more` : counted;
}

const NAMED_MAX = 3;

/** Formats the first few names and the number of the others: `a, b, c and 2 more`. */
export function namesText(names: readonly string[]): string {
  const named = names.slice(0, NAMED_MAX).join(", ");
  return names.length > NAMED_MAX ? `${named} and ${names.length - NAMED_MAX} more` : named;
}
