import { formatFullTime, formatTime } from "../format.ts";

/** The time of day, with the full date and time zone as a tooltip. */
export function TimeText({ time }: { time: Date }) {
  return (
    <time dateTime={time.toISOString()} title={formatFullTime(time)}>
      {formatTime(time)}
    </time>
  );
}
