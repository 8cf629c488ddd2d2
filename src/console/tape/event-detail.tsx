import type { FoldedPart, SpoolEvent } from "../../client/types.ts";
import { formatCount, formatFullTime, formatPreciseTime } from "../format.ts";
import { Failure } from "../parts/failure.tsx";
import { JsonView } from "../parts/json-view.tsx";
import { TimeText } from "../parts/time-text.tsx";
import { formatRoute } from "../route.ts";

/** All details of an event. */
export function EventDetail({ taskId, event, onClose }: { taskId: string; event: SpoolEvent; onClose: () => void }) {
  const seq = Number(event.seq);
  return (
    <section class="event-detail" aria-labelledby="event-title">
      <header>
        <h3 id="event-title">
          Event {formatCount(seq)} <span class="quiet">{event.type}</span>
        </h3>
        <a href={formatRoute({ page: "task", taskId, seq })}>Link to this event</a>
        <button type="button" onClick={onClose}>
          Close
        </button>
      </header>
      <p class="quiet">
        <time dateTime={event.time.toISOString()} title={formatFullTime(event.time)}>
          {formatPreciseTime(event.time)}
        </time>
      </p>
      <Body event={event} />
    </section>
  );
}

/** The partials of one series: their text as it reads, or the last payload. */
function SeriesPart({ part: { kind, series, payload, count, firstSeq, lastSeq } }: { part: FoldedPart }) {
  const text = series.field === undefined ? undefined : payload[series.field];
  return (
    <>
      <p>
        {kind}{" "}
        <span class="quiet">
          series {series.name}, {formatCount(count)} events from {formatCount(Number(firstSeq))} to{" "}
          {formatCount(Number(lastSeq))}
        </span>
      </p>
      {typeof text === "string" ? <pre class="text">{text}</pre> : <JsonView value={payload} open={4} />}
    </>
  );
}

function Body({ event }: { event: SpoolEvent }) {
  switch (event.type) {
    case "started":
      return (
        <p>
          Attempt {event.attempt} of kind {event.kind} started.
        </p>
      );
    case "progress":
      return (
        <>
          <p>
            {event.phase}: {formatCount(event.current)}
            {event.total > 0 && ` of ${formatCount(event.total)}`}
          </p>
          {event.detail && <JsonView value={event.detail} open={4} />}
        </>
      );
    case "log":
      return (
        <>
          <p class="quiet">{event.level}</p>
          <pre class="text">{event.message}</pre>
        </>
      );
    case "partial":
      return (
        <>
          <p>
            {event.kind}
            {event.series && <span class="quiet"> series {event.series.name}</span>}
          </p>
          <JsonView value={event.payload} open={4} />
        </>
      );
    case "folded":
      return (
        <>
          {event.parts.map((part) => (
            <SeriesPart key={`${part.kind} ${part.series.name}`} part={part} />
          ))}
        </>
      );
    case "cancel_requested":
      return (
        <>
          {event.reason === "" ? <p>No reason was given.</p> : <pre class="text">{event.reason}</pre>}
          {event.cancelledBy !== undefined && <p>Requested by {event.cancelledBy}.</p>}
        </>
      );
    case "retrying":
      return (
        <>
          <Failure error={event.error} />
          <p>
            The next attempt starts no earlier than <TimeText time={event.nextAttemptAt} />.
          </p>
        </>
      );
    case "final":
      return (
        <>
          <p>The task has {event.status === "cancelled" ? "been cancelled" : event.status}.</p>
          {event.error && <Failure error={event.error} />}
          {event.result && <JsonView value={event.result} open={2} />}
        </>
      );
    case "unknown":
      return <p>Unknown event type.</p>;
  }
}
