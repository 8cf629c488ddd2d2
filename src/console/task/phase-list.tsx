import { ProgressBar } from "../parts/progress-bar.tsx";
import { PHASES_MAX } from "../tape/tape-summary.ts";
import type { TapeSummary } from "../tape/tape-summary.ts";

/** The progress of each phase of the current or last attempt. */
export function PhaseList({ summary: { attempts, phases, hasMorePhases } }: { summary: TapeSummary }) {
  const last = attempts.at(-1)?.number ?? 0;
  const shown = phases.filter(({ attempt }) => attempt === last);
  if (shown.length === 0) return <p class="quiet">No progress has been reported.</p>;
  return (
    <>
      <ul class="phases" aria-label="Phases">
        {shown.map((phase) => (
          <li key={phase.name}>
            <ProgressBar phase={phase.name} current={phase.current} total={phase.total} />
          </li>
        ))}
      </ul>
      {hasMorePhases && <p class="quiet">Only the first {PHASES_MAX} phases are shown.</p>}
    </>
  );
}
