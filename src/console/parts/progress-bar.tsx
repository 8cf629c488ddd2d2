import { formatCount } from "../format.ts";
import type { LatestProgress } from "../list/task-rows.ts";

/** The progress of a phase, as a bar and in numbers. */
export function ProgressBar({ phase, current, total }: LatestProgress) {
  const isKnown = total > 0;
  const figures = isKnown ? `${formatCount(current)} / ${formatCount(total)}` : formatCount(current);
  return (
    <span class="progress">
      <span class="progress-phase">{phase}</span>
      {isKnown ? (
        <progress aria-label={phase} value={Math.min(current, total)} max={total} />
      ) : (
        <progress aria-label={phase} />
      )}
      <span class="progress-figures">{figures}</span>
    </span>
  );
}
