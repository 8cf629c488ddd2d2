import type { Task } from "../../client/client.ts";
import { SHORT_ID_CHARS } from "../options/task-id.ts";
import { ageText, durationText } from "../output/duration-text.ts";
import { escapeText } from "../output/escape-text.ts";
import { tableLine } from "../output/table-line.ts";
import { fitText } from "../output/text-width.ts";

/** The lines of a table of tasks. */
export interface TaskTable {
  readonly heading: string;
  line(task: Task): string;
}

/** A terminal with this many columns has room for whole times. */
const WIDE_COLUMNS = 128;
/** Least room for the labels at the end of a line; with less room, the table has no labels. */
const LABELS_COLUMNS_MIN = 12;

const WIDE_WIDTHS = [SHORT_ID_CHARS, 12, 9, 24, 24, 8, 0];
const NARROW_WIDTHS = [SHORT_ID_CHARS, 12, 9, 4, 8, 8];
const NARROW_COLUMNS = NARROW_WIDTHS.reduce((sum, width) => sum + width + 2, -2);

/**
 * Returns the table of tasks for an output: with whole times in a pipe, a file and a wide terminal, and with ages in a
 * terminal of fewer columns, so that a line fits.
 *
 * @param columns of the terminal; undefined: the output is no terminal
 * @param nowMs the time to which ages and the duration of running tasks refer
 */
export function taskTable(columns: number | undefined, nowMs: number): TaskTable {
  return columns === undefined || columns >= WIDE_COLUMNS ? wideTable(nowMs) : narrowTable(columns, nowMs);
}

function wideTable(nowMs: number): TaskTable {
  return {
    heading: tableLine(["TASK", "KIND", "STATUS", "CREATED", "ENDED", "RAN", "LABELS"], WIDE_WIDTHS),
    line: (task) => {
      const { createdAt, finishedAt } = task;
      const times = [createdAt.toISOString(), finishedAt?.toISOString() ?? "", ranText(task, nowMs)];
      return tableLine([...names(task), ...times, labelsText(task)], WIDE_WIDTHS);
    },
  };
}

function narrowTable(columns: number, nowMs: number): TaskTable {
  const labelsColumns = columns - NARROW_COLUMNS - 2;
  const hasLabels = labelsColumns >= LABELS_COLUMNS_MIN;
  const widths = hasLabels ? [...NARROW_WIDTHS, 0] : NARROW_WIDTHS;
  const headings = ["TASK", "KIND", "STATUS", "AGE", "ENDED", "RAN"];
  return {
    heading: tableLine(hasLabels ? [...headings, "LABELS"] : headings, widths),
    line: (task) => {
      const age = ageText(nowMs - task.createdAt.getTime());
      const ended = task.finishedAt === null ? "" : `${ageText(nowMs - task.finishedAt.getTime())} ago`;
      const cells = names(task).map((cell, column) => fitText(cell, widths[column]!));
      const labels = hasLabels ? [fitText(labelsText(task), labelsColumns)] : [];
      return tableLine([...cells, age, ended, ranText(task, nowMs), ...labels], widths);
    },
  };
}

function names({ taskId, kind, status }: Task): string[] {
  return [taskId.slice(0, SHORT_ID_CHARS), kind, status].map(escapeText);
}

/** Returns how long a task ran, from its first attempt to its end or until now; empty if no attempt has begun. */
function ranText({ startedAt, finishedAt }: Task, nowMs: number): string {
  return startedAt === null ? "" : durationText((finishedAt?.getTime() ?? nowMs) - startedAt.getTime());
}

function labelsText({ labels }: Task): string {
  return escapeText(
    Object.entries(labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(" "),
  );
}
