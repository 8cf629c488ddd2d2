import type { KindActivity } from "../../domain/activity.ts";
import { formatCount, formatDuration } from "../format.ts";
import { formatRoute, NO_FILTER } from "../route.ts";

/** A table of the counts and task durations of each kind, on one scale. */
export function KindsTable({ kinds }: { kinds: readonly KindActivity[] }) {
  if (kinds.length === 0) return <p class="quiet">No tasks ran in this period.</p>;
  const longestMs = Math.max(1, ...kinds.map(({ durations }) => durations?.p95Ms ?? 0));
  return (
    <div class="table-scroll" role="group" aria-label="Kinds" tabIndex={0}>
      <table class="figures" aria-label="Kinds">
        <thead>
          <tr>
            <th>Kind</th>
            <th class="number">Pending</th>
            <th class="number">Running</th>
            <th class="number">Succeeded</th>
            <th class="number">Failed</th>
            <th class="number">Cancelled</th>
            <th class="number">p50</th>
            <th class="number">p95</th>
            <th aria-hidden="true" />
          </tr>
        </thead>
        <tbody>
          {kinds.map((kind) => (
            <tr key={kind.kind}>
              <th scope="row">
                <a href={formatRoute({ page: "tasks", filter: { ...NO_FILTER, kinds: [kind.kind] }, pageToken: "" })}>
                  {kind.kind}
                </a>
              </th>
              <td class="number">{formatCount(kind.pending)}</td>
              <td class="number">{formatCount(kind.running)}</td>
              <td class="number">{formatCount(kind.succeeded)}</td>
              <td class="number">{formatCount(kind.failed)}</td>
              <td class="number">{formatCount(kind.cancelled)}</td>
              <td class="number">{kind.durations ? formatDuration(kind.durations.p50Ms) : "–"}</td>
              <td class="number">{kind.durations ? formatDuration(kind.durations.p95Ms) : "–"}</td>
              <td aria-hidden="true" class="durations">
                {kind.durations && (
                  <span class="duration-track">
                    <span class="duration-p95" style={{ width: `${share(kind.durations.p95Ms, longestMs)}%` }} />
                    <span class="duration-p50" style={{ width: `${share(kind.durations.p50Ms, longestMs)}%` }} />
                  </span>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Returns a width on a logarithmic scale, because kinds take from milliseconds to hours. */
function share(ms: number, longestMs: number): number {
  return Math.max(1, (Math.log1p(ms) / Math.log1p(longestMs)) * 100);
}
