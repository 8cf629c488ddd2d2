const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

const number = new Intl.NumberFormat("en");
const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const preciseClock = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  fractionalSecondDigits: 3,
});
const minute = new Intl.DateTimeFormat("en-GB", { timeStyle: "short" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const full = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "long" });

export function formatCount(value: number | bigint): string {
  return number.format(value);
}

/** Formats a duration with at most two units: `40 ms`, `2.5 s`, `3 min 20 s`, `5 h 2 min`, `3 d 4 h`. */
export function formatDuration(ms: number): string {
  const rest = Math.max(0, ms);
  if (rest < SECOND_MS) return `${Math.round(rest)} ms`;
  if (rest < MINUTE_MS) return `${(Math.floor(rest / 100) / 10).toFixed(1)} s`;
  if (rest < HOUR_MS) return twoUnits(rest, MINUTE_MS, "min", SECOND_MS, "s");
  if (rest < DAY_MS) return twoUnits(rest, HOUR_MS, "h", MINUTE_MS, "min");
  return twoUnits(rest, DAY_MS, "d", HOUR_MS, "h");
}

function twoUnits(ms: number, large: number, largeName: string, small: number, smallName: string): string {
  const remainder = Math.floor((ms % large) / small);
  const head = `${Math.floor(ms / large)} ${largeName}`;
  return remainder === 0 ? head : `${head} ${remainder} ${smallName}`;
}

/** Formats the local time of day, with the date if it is not today. */
export function formatTime(time: Date, now = new Date()): string {
  const isToday = time.toDateString() === now.toDateString();
  return isToday ? clock.format(time) : `${day.format(time)}, ${clock.format(time)}`;
}

/** Formats the time of day to the millisecond. */
export function formatPreciseTime(time: Date): string {
  return preciseClock.format(time);
}

/** Formats the time of day to the minute. */
export function formatMinute(time: Date): string {
  return minute.format(time);
}

/** Formats the date, time and time zone. */
export function formatFullTime(time: Date): string {
  return full.format(time);
}

/** Returns the part of an id that a list shows: the end, because ids from the same time share the start. */
export function shortId(taskId: string): string {
  return taskId.slice(-8);
}
