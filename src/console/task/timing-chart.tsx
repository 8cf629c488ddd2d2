import { formatDuration, formatTime } from "../format.ts";
import { BEGUN_BEFORE } from "../tape/tape-summary.ts";
import type { TapeSummary } from "../tape/tape-summary.ts";

/** The minimum width of a bar, in percent of the axis. */
const BAR_MIN = 0.4;
const TICKS = 4;

interface Span {
  name: string;
  sort: "attempt" | "phase";
  from: number;
  to: number;
  /** Why the attempt failed; null: it did not fail, as far as known. */
  failure: string | null;
}

/** A chart of attempts and their phases on one time axis. */
export function TimingChart({ summary, nowMs }: { summary: TapeSummary; nowMs: number }) {
  const spans = spansOf(summary, nowMs);
  if (spans.length === 0) return <p class="quiet">No attempt has started yet.</p>;
  const from = Math.min(...spans.map((span) => span.from));
  const to = Math.max(...spans.map((span) => span.to), from + 1);
  const percent = (ms: number) => ((ms - from) / (to - from)) * 100;
  const ticks = Array.from({ length: TICKS + 1 }, (_, tick) => from + ((to - from) * tick) / TICKS);
  return (
    <div class="timing">
      <ul aria-label="Attempts and phases">
        {spans.map((span) => (
          <li key={`${span.sort} ${span.name} ${span.from}`} class={span.sort}>
            <span class="timing-name">{span.name}</span>
            <span class="timing-track" aria-hidden="true">
              <span
                class={span.failure === null ? "timing-bar" : "timing-bar failed"}
                style={{
                  left: `${Math.min(percent(span.from), 100 - BAR_MIN)}%`,
                  width: `${Math.max(BAR_MIN, percent(span.to) - percent(span.from))}%`,
                }}
              />
            </span>
            <span class="timing-duration">{formatDuration(span.to - span.from)}</span>
            <span class="visually-hidden">
              , from {formatTime(new Date(span.from))} to {formatTime(new Date(span.to))}
              {span.failure !== null && `, ${span.failure}`}
            </span>
          </li>
        ))}
      </ul>
      <div class="timing-axis" aria-hidden="true">
        {ticks.map((tick) => (
          <span key={tick}>+{formatDuration(tick - from)}</span>
        ))}
      </div>
    </div>
  );
}

function spansOf({ attempts, phases }: TapeSummary, nowMs: number): Span[] {
  return attempts.flatMap((attempt): Span[] => {
    const own = phases.filter((phase) => phase.attempt === attempt.number);
    const lastMs = Math.max(attempt.from.getTime(), ...own.map((phase) => phase.to.getTime()));
    const to = attempt.to?.getTime() ?? Math.max(nowMs, lastMs);
    const failure = attempt.error?.reason ?? null;
    return [
      {
        name: attempt.number === BEGUN_BEFORE ? "earlier attempt" : `attempt ${attempt.number}`,
        sort: "attempt",
        from: attempt.from.getTime(),
        to,
        failure,
      },
      ...own.map((phase): Span => {
        return { name: phase.name, sort: "phase", from: phase.from.getTime(), to: phase.to.getTime(), failure: null };
      }),
    ];
  });
}
