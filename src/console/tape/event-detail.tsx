import type { SpoolEvent } from "../../client/types.ts";
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
          <p>{event.kind}</p>
          <JsonView value={event.payload} open={4} />
        </>
      );
    case "cancel_requested":
      return event.reason === "" ? <p>No reason was given.</p> : <pre class="text">{event.reason}</pre>;
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
