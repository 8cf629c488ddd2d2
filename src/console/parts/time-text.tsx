import { formatFullTime, formatTime } from "../format.ts";

/** A moment: the time of day, and on a closer look the day and the zone. */
export function TimeText({ time }: { time: Date }) {
  return (
    <time dateTime={time.toISOString()} title={formatFullTime(time)}>
      {formatTime(time)}
    </time>
  );
}
