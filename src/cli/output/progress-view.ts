import stringWidth from "string-width";
import type { Frame, TaskStatus } from "../../client/client.ts";
import { count } from "./event-lines.ts";
import { escapeText } from "./escape-text.ts";
import type { Colorize } from "./colorize.ts";
import { fitText, padText } from "./text-width.ts";

// The progress bars of a task, as a pure function of its events. `bars.ts` draws them.

/** A task may name any number of phases; the most recently updated ones are kept. */
const PHASES_MAX = 100;
const NAME_COLUMNS_MAX = 30;
const BAR_COLUMNS_MAX = 40;
const BAR_COLUMNS_MIN = 8;
/** Rows of the terminal that are reserved for the lines above the bars. */
const ROWS_RESERVED = 3;

interface Phase {
  current: number;
  total: number;
  /** The number of the last progress event of this phase, counted over all phases. */
  lastUpdate: number;
}

export interface ProgressView {
  /** In order of first appearance. */
  readonly phases: Map<string, Phase>;
  status: TaskStatus | null;
  updates: number;
}

export function newProgressView(): ProgressView {
  return { phases: new Map(), status: null, updates: 0 };
}

/** Applies the progress events of a frame. A new attempt starts with no bars. */
export function advance(view: ProgressView, { events, status }: Pick<Frame, "events" | "status">): void {
  view.status = status;
  for (const event of events) {
    if (event.type === "started") view.phases.clear();
    if (event.type !== "progress") continue;
    const lastUpdate = (view.updates += 1);
    view.phases.set(event.phase, { current: event.current, total: event.total, lastUpdate });
    if (view.phases.size > PHASES_MAX) view.phases.delete(leastRecentlyUpdated(view));
  }
}

/**
 * Returns the bars, one line each, in order of the first appearance of their phases. If the rows do not suffice, returns
 * the most recently updated bars.
 */
export function barLines(view: ProgressView, size: { columns: number; rows: number }, colorize: Colorize): string[] {
  if (view.status === "pending" && view.phases.size === 0) return [colorize("dim", "waiting to run")];
  const columns = size.columns - 1; // Some terminals wrap when the last column is written.
  const shown = recentlyUpdated(view, Math.max(1, size.rows - ROWS_RESERVED));
  const names = shown.map(([name]) => fitText(escapeText(name), Math.min(NAME_COLUMNS_MAX, columns >> 1)));
  const counts = shown.map(([, { current, total }]) => count(current, total));
  const nameColumns = Math.max(0, ...names.map((name) => stringWidth(name)));
  const countColumns = Math.max(0, ...counts.map((count) => stringWidth(count)));
  const barColumns = Math.min(BAR_COLUMNS_MAX, columns - nameColumns - countColumns - 2);
  return shown.map(([, phase], row) => {
    const name = padText(names[row]!, nameColumns);
    if (barColumns < BAR_COLUMNS_MIN) return fitText(`${name} ${counts[row]}`, columns);
    return `${name} ${bar(phase, barColumns, colorize)} ${counts[row]}`;
  });
}

function bar({ current, total }: Phase, columns: number, colorize: Colorize): string {
  if (total === 0) return " ".repeat(columns); // The total is unknown: only the count is shown, in its column.
  const full = Math.floor(Math.min(1, current / total) * columns);
  const rest = columns - full === 0 ? "" : colorize("dim", "░".repeat(columns - full));
  return colorize(current < total ? "cyan" : "green", "█".repeat(full)) + rest;
}

function recentlyUpdated({ phases }: ProgressView, limit: number): [name: string, phase: Phase][] {
  const all = [...phases];
  if (all.length <= limit) return all;
  const bound = all.map(([, { lastUpdate }]) => lastUpdate).toSorted((one, other) => other - one)[limit - 1]!;
  return all.filter(([, { lastUpdate }]) => lastUpdate >= bound);
}

function leastRecentlyUpdated({ phases }: ProgressView): string {
  return [...phases].reduce((one, other) => (other[1].lastUpdate < one[1].lastUpdate ? other : one))[0];
}
