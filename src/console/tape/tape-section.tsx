import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { SpoolEvent } from "../../client/types.ts";
import { formatCount } from "../format.ts";
import { EventDetail } from "./event-detail.tsx";
import { EVENT_SORTS, isWholeTape } from "./event-filter.ts";
import type { EventFilter, EventSort } from "./event-filter.ts";
import { TapeList } from "./tape-list.tsx";
import { foundEvents, wholeTape } from "./tape-rows.ts";
import { MATCHES_MAX, TapeSearch } from "./tape-search.ts";
import type { Tape } from "./tape.ts";

/** Delay between typing and the search, in ms. */
const TYPING_MS = 250;

/** A task's tape: its events, the filter, and the selected event. */
export function TapeSection({ tape, taskId, seq }: { tape: Tape; taskId: string; seq: number | null }) {
  const [filter, setFilter] = useState<EventFilter>({ sort: "all", text: "" });
  const [selected, setSelected] = useState(seq);
  const [jumps, setJumps] = useState(0);
  const [isFollowing, setFollowing] = useState(() => seq === null && tape.task.value?.finishedAt === null);
  const search = useSearch(tape, filter);
  const event = useEvent(tape, selected);
  const rows = search === null ? wholeTape(tape) : foundEvents(search);
  const jumpTo = (target: number) => {
    setFollowing(false);
    setSelected(target);
    setJumps((count) => count + 1);
  };
  useEffect(() => {
    if (seq !== null) jumpTo(seq);
  }, [seq]);
  return (
    <section class="card tape" aria-labelledby="tape-title">
      <header class="tape-header">
        <h2 id="tape-title">Tape</h2>
        <p class="quiet" data-testid="tape-count">
          {formatCount(tape.lastSeq.value)} events
        </p>
        <FilterFields filter={filter} onChange={(change) => setFilter((before) => ({ ...before, ...change }))} />
        <JumpField lastSeq={tape.lastSeq.value} onJump={jumpTo} />
        <button type="button" aria-pressed={isFollowing} onClick={() => setFollowing(!isFollowing)}>
          Follow the end
        </button>
      </header>
      {tape.lastSeq.value === 0 && <p class="quiet">No events yet.</p>}
      {search !== null && <SearchNote search={search} lastSeq={tape.lastSeq.value} />}
      <div class={event ? "tape-body with-detail" : "tape-body"}>
        <TapeList
          rows={rows}
          selected={selected}
          onSelect={setSelected}
          isFollowing={isFollowing}
          onLeaveEnd={() => setFollowing(false)}
          jumps={jumps}
        />
        {event && <EventDetail taskId={taskId} event={event} onClose={() => setSelected(null)} />}
      </div>
    </section>
  );
}

/** Returns the search for a filter, which continues as the tape grows; null: the filter matches everything. */
function useSearch(tape: Tape, filter: EventFilter): TapeSearch | null {
  const search = useMemo(() => (isWholeTape(filter) ? null : new TapeSearch(filter, tape.read)), [tape, filter]);
  useEffect(() => () => search?.[Symbol.dispose](), [search]);
  const lastSeq = tape.lastSeq.value;
  useEffect(() => search?.searchTo(lastSeq), [search, lastSeq]);
  return search;
}

/**
 * Returns the event with a seq once it is read. It stays available while it is selected, even when the list scrolls.
 */
function useEvent(tape: Tape, seq: number | null): SpoolEvent | null {
  const [event, setEvent] = useState<SpoolEvent | null>(null);
  const lastSeq = tape.lastSeq.value;
  const isThere = seq !== null && seq <= lastSeq;
  useEffect(() => {
    setEvent(null);
    if (!isThere) return undefined;
    const cached = tape.pages.get(seq);
    if (cached !== undefined) {
      setEvent(cached);
      return undefined;
    }
    const over = new AbortController();
    tape.read(seq, 1, over.signal).then(
      ([read]) => setEvent(read ?? null),
      () => {},
    );
    return () => over.abort();
  }, [tape, seq, isThere]);
  return event;
}

function FilterFields({ filter, onChange }: { filter: EventFilter; onChange: (change: Partial<EventFilter>) => void }) {
  const timer = useRef(0);
  const onText = (text: string) => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => onChange({ text }), TYPING_MS);
  };
  return (
    <>
      <label class="field">
        <span>Show</span>
        <select value={filter.sort} onChange={(event) => onChange({ sort: event.currentTarget.value as EventSort })}>
          {Object.entries(EVENT_SORTS).map(([sort, name]) => (
            <option key={sort} value={sort}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <label class="field">
        <span>Contains text</span>
        <input type="search" defaultValue={filter.text} onInput={(event) => onText(event.currentTarget.value)} />
      </label>
    </>
  );
}

function JumpField({ lastSeq, onJump }: { lastSeq: number; onJump: (seq: number) => void }) {
  const field = useRef<HTMLInputElement>(null);
  const onSubmit = (event: Event) => {
    event.preventDefault();
    const seq = Number(field.current!.value);
    if (Number.isInteger(seq) && seq >= 1 && lastSeq > 0) onJump(Math.min(seq, lastSeq));
  };
  return (
    <form class="field jump" onSubmit={onSubmit}>
      <label>
        <span>Go to event</span>
        <input ref={field} type="number" min={1} max={Math.max(1, lastSeq)} step={1} required />
      </label>
      <button type="submit">Go</button>
    </form>
  );
}

function SearchNote({ search, lastSeq }: { search: TapeSearch; lastSeq: number }) {
  const found = formatCount(search.matches.value.length);
  const searched = search.searchedTo.value;
  return (
    <p class="search-note" role="status">
      {searched < lastSeq
        ? `${found} found in the first ${formatCount(searched)} of ${formatCount(lastSeq)} events`
        : `${found} found in ${formatCount(lastSeq)} events`}
      {search.isFull.value && (
        <button type="button" onClick={() => search.goOn()}>
          The next {formatCount(MATCHES_MAX)}
        </button>
      )}
    </p>
  );
}
