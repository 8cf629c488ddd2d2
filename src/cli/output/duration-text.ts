const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Returns a duration in at most 8 characters, rounded down: `250ms`, `1.5s`, `59m 59s`, `23h 59m`, `364d 23h`. */
export function durationText(ms: number): string {
  const duration = Math.max(0, Math.floor(ms));
  if (duration < SECOND_MS) return `${duration}ms`;
  if (duration < MINUTE_MS) return `${(Math.floor(duration / 100) / 10).toFixed(1)}s`;
  if (duration < HOUR_MS) return twoUnits(duration, [MINUTE_MS, "m"], [SECOND_MS, "s"]);
  if (duration < DAY_MS) return twoUnits(duration, [HOUR_MS, "h"], [MINUTE_MS, "m"]);
  return twoUnits(duration, [DAY_MS, "d"], [HOUR_MS, "h"]);
}

/** Returns a duration in its largest unit, rounded down: `0s`, `59m`, `23h`, `364d`. */
export function ageText(ms: number): string {
  const age = Math.max(0, ms);
  if (age < MINUTE_MS) return `${Math.floor(age / SECOND_MS)}s`;
  if (age < HOUR_MS) return `${Math.floor(age / MINUTE_MS)}m`;
  if (age < DAY_MS) return `${Math.floor(age / HOUR_MS)}h`;
  return `${Math.floor(age / DAY_MS)}d`;
}

type Unit = readonly [ms: number, sign: string];

function twoUnits(ms: number, [large, largeSign]: Unit, [small, smallSign]: Unit): string {
  const rest = Math.floor((ms % large) / small);
  return `${Math.floor(ms / large)}${largeSign}${rest === 0 ? "" : ` ${rest}${smallSign}`}`;
}
