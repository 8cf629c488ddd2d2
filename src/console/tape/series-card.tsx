import { formatCount } from "../format.ts";
import { JsonView } from "../parts/json-view.tsx";
import { SERIES_MAX } from "./series-tails.ts";
import type { SeriesTail } from "./series-tails.ts";
import type { Tape } from "./tape.ts";

/** The series of a task: each text as it grows, and the last state of each other series. */
export function SeriesCard({ tape }: { tape: Tape }) {
  void tape.revision.value;
  const { all, hasMore } = tape.summary.series;
  if (all.length === 0) return null;
  return (
    <section class="card series" aria-labelledby="series-title">
      <h2 id="series-title">Series</h2>
      {all.map((tail) => (
        <Series key={`${tail.kind} ${tail.name}`} tail={tail} />
      ))}
      {hasMore && <p class="quiet">The {SERIES_MAX} series that changed last.</p>}
      {tape.summedUpFrom > 1 && <p class="quiet">This is of the events from {formatCount(tape.summedUpFrom)} on.</p>}
    </section>
  );
}

function Series({ tail: { kind, name, text, chars, payload, count } }: { tail: SeriesTail }) {
  return (
    <>
      <h3>
        {kind} {name}{" "}
        <span class="quiet">
          {formatCount(count)} events
          {text !== null && text.length < chars && `, the end of ${formatCount(chars)} characters`}
        </span>
      </h3>
      {text === null ? (
        <JsonView value={payload} open={2} />
      ) : (
        <div class="series-text" tabIndex={0}>
          <pre class="text">{text}</pre>
        </div>
      )}
    </>
  );
}
