import type { Frame, TaskStatus } from "../../client/client.ts";
import { count } from "./event-lines.ts";
import { escapeText } from "./escape-text.ts";
import type { Paint } from "./color.ts";
import { fitText, padText, textWidth } from "./text-width.ts";

// The bars of a task, as a pure function of its events: what stands below the lines that have scrolled by.

/** A task may name any number of phases; those that moved last are kept. */
const PHASES_MAX = 100;
const NAME_COLUMNS_MAX = 30;
const BAR_COLUMNS_MAX = 40;
const BAR_COLUMNS_MIN = 8;
/** Rows of the terminal that are left to the lines above. */
const ROWS_LEFT = 3;

interface Phase {
  current: number;
  total: number;
  /** Counts up with every progress event: the phase with the highest moved last. */
  moved: number;
}

export interface ProgressView {
  /** In the order in which they appeared. */
  readonly phases: Map<string, Phase>;
  status: TaskStatus | null;
  moves: number;
}

export function newProgressView(): ProgressView {
  return { phases: new Map(), status: null, moves: 0 };
}

/** Takes in what a frame says of the progress. Another attempt begins with no bars. */
export function advance(view: ProgressView, { events, status }: Pick<Frame, "events" | "status">): void {
  view.status = status;
  for (const event of events) {
    if (event.type === "started") view.phases.clear();
    if (event.type !== "progress") continue;
    const moved = (view.moves += 1);
    view.phases.set(event.phase, { current: event.current, total: event.total, moved });
    if (view.phases.size > PHASES_MAX) view.phases.delete(stalest(view));
  }
}

/** The bars, one line each, in the order in which their phases appeared; where rows are few, those that moved last. */
export function barLines(view: ProgressView, size: { columns: number; rows: number }, paint: Paint): string[] {
  if (view.status === "pending" && view.phases.size === 0) return [paint("dim", "waiting to run")];
  const columns = size.columns - 1; // Some terminals begin another line when the last column is written to.
  const shown = lastMoved(view, Math.max(1, size.rows - ROWS_LEFT));
  const names = shown.map(([name]) => fitText(escapeText(name), Math.min(NAME_COLUMNS_MAX, columns >> 1)));
  const counts = shown.map(([, { current, total }]) => count(current, total));
  const nameColumns = Math.max(0, ...names.map(textWidth));
  const countColumns = Math.max(0, ...counts.map(textWidth));
  const barColumns = Math.min(BAR_COLUMNS_MAX, columns - nameColumns - countColumns - 2);
  return shown.map(([, phase], row) => {
    const name = padText(names[row]!, nameColumns);
    if (barColumns < BAR_COLUMNS_MIN) return fitText(`${name} ${counts[row]}`, columns);
    return `${name} ${bar(phase, barColumns, paint)} ${counts[row]}`;
  });
}

function bar({ current, total }: Phase, columns: number, paint: Paint): string {
  if (total === 0) return " ".repeat(columns); // Not known how much there is: the count alone, in its column.
  const full = Math.floor(Math.min(1, current / total) * columns);
  const rest = columns - full === 0 ? "" : paint("dim", "░".repeat(columns - full));
  return paint(current < total ? "cyan" : "green", "█".repeat(full)) + rest;
}

function lastMoved({ phases }: ProgressView, limit: number): [name: string, phase: Phase][] {
  const all = [...phases];
  if (all.length <= limit) return all;
  const bound = all.map(([, { moved }]) => moved).toSorted((one, other) => other - one)[limit - 1]!;
  return all.filter(([, { moved }]) => moved >= bound);
}

function stalest({ phases }: ProgressView): string {
  return [...phases].reduce((one, other) => (other[1].moved < one[1].moved ? other : one))[0];
}
