import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { formatCount, formatPreciseTime } from "../format.ts";
import type { TapeRows } from "./tape-rows.ts";
import { ROW_PX, scrollIntoView, scrollToMiddle, windowOf } from "./virtual-rows.ts";

const BORDERS_PX = 2;

interface Props {
  rows: TapeRows;
  /** The selected event; null: none. */
  selected: number | null;
  onSelect: (seq: number | null) => void;
  /** Keeps the last row in view until the user scrolls up. */
  isFollowing: boolean;
  onLeaveEnd: () => void;
  /** Incremented when the selected event must scroll to the middle. */
  jumps: number;
}

/** A list of any number of events. Only the visible rows are in the document. */
export function TapeList({ rows, selected, onSelect, isFollowing, onLeaveEnd, jumps }: Props) {
  const list = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ scrollPx: 0, viewPx: 0 });
  const { heightPx, first, end, offsetPx } = windowOf(rows.count, view);

  const measure = () => {
    const { scrollTop: scrollPx, clientHeight: viewPx } = list.current!;
    // Only the user scrolls up; following scrolls down.
    if (isFollowing && scrollPx < view.scrollPx - 1 && viewPx === view.viewPx) onLeaveEnd();
    setView({ scrollPx, viewPx });
  };
  const scrollTo = (px: number) => {
    list.current!.scrollTop = px;
    measure();
  };

  useLayoutEffect(() => {
    const observer = new ResizeObserver(measure);
    observer.observe(list.current!);
    return () => observer.disconnect();
  }, []);
  useLayoutEffect(() => rows.want(first, end), [rows, first, end]);
  useLayoutEffect(() => {
    if (isFollowing) scrollTo(list.current!.scrollHeight);
  }, [isFollowing, rows.count, view.viewPx]);
  useLayoutEffect(() => {
    if (selected === null || rows.count === 0 || view.viewPx === 0) return;
    scrollTo(scrollToMiddle(rows.indexOf(selected), rows.count, view.viewPx));
    // Not when the rows change: only on request, and when the first rows arrive.
  }, [jumps, rows.count > 0, view.viewPx > 0]);

  const move = (index: number) => {
    const target = Math.max(0, Math.min(index, rows.count - 1));
    onSelect(rows.seqOf(target));
    const px = scrollIntoView(target, rows.count, view);
    if (px !== view.scrollPx) scrollTo(px);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (rows.count === 0 || event.altKey || event.ctrlKey || event.metaKey) return;
    const atTop = Math.min(rows.count - 1, Math.ceil(view.scrollPx / ROW_PX));
    const page = Math.max(1, Math.floor(view.viewPx / ROW_PX) - 1);
    const from = selected === null ? null : rows.indexOf(selected);
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page };
    const step = steps[event.key];
    if (step !== undefined) move(from === null ? atTop : from + step);
    else if (event.key === "Home") move(0);
    else if (event.key === "End") move(rows.count - 1);
    else if (event.key === "Escape" && selected !== null) onSelect(null);
    else return;
    event.preventDefault();
  };

  const shown = Array.from({ length: end - first }, (_, place) => first + place);
  const isShown = selected !== null && shown.some((index) => rows.seqOf(index) === selected);
  return (
    <div
      ref={list}
      class="tape-list"
      role="listbox"
      aria-label="Events"
      tabIndex={0}
      aria-activedescendant={isShown ? `event-${selected}` : undefined}
      style={{ height: `${heightPx + BORDERS_PX}px` }}
      onScroll={measure}
      onKeyDown={onKeyDown}
    >
      <div role="presentation" style={{ height: `${heightPx}px` }}>
        <div role="presentation" style={{ transform: `translateY(${offsetPx}px)` }}>
          {shown.map((index) => (
            <Row
              key={rows.seqOf(index)}
              seq={rows.seqOf(index)}
              line={rows.lineOf(index)}
              place={`${index + 1}`}
              count={rows.count}
              isSelected={rows.seqOf(index) === selected}
              onSelect={onSelect}
            />
          ))}
        </div>
      </div>
    </div>
  );
}

function Row({
  seq,
  line,
  place,
  count,
  isSelected,
  onSelect,
}: {
  seq: number;
  line: ReturnType<TapeRows["lineOf"]>;
  place: string;
  count: number;
  isSelected: boolean;
  onSelect: (seq: number) => void;
}) {
  return (
    <div
      id={`event-${seq}`}
      class={`tape-row ${line?.tone ?? "quiet"}`}
      role="option"
      aria-selected={isSelected}
      aria-posinset={Number(place)}
      aria-setsize={count}
      onClick={() => onSelect(seq)}
    >
      <span class="tape-seq">{formatCount(seq)}</span>
      <span class="tape-time">{line && formatPreciseTime(line.time)}</span>
      <span class="tape-label">{line?.label}</span>
      <span class="tape-text">{line?.text ?? "…"}</span>
    </div>
  );
}
