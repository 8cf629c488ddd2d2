import assert from "node:assert/strict";
import { mergeRows } from "../../src/console/list/task-rows.ts";
import type { TaskRow } from "../../src/console/list/task-rows.ts";
import type { Task } from "../../src/client/types.ts";
import type { TaskStatus } from "../../src/domain/task.ts";
import { NO_FILTER } from "../../src/console/route.ts";

const NEWEST = { filter: NO_FILTER, isNewest: true, max: 3 };
const OLDER = { ...NEWEST, isNewest: false };

describe("the rows of a list", () => {
  it("are newest first, limited in number, and report if rows were cut off", () => {
    const first = mergeRows([], [row("2"), row("1")], NEWEST);
    assert.deepEqual(idsOf(first.rows), ["2", "1"]);
    assert.equal(first.hasOverflow, false);
    const next = mergeRows(first.rows, [row("4"), row("3")], NEWEST);
    assert.deepEqual(idsOf(next.rows), ["4", "3", "2"]);
    assert.equal(next.hasOverflow, true);
  });

  it("exclude tasks older than a full newest page, and new tasks on a page of older tasks", () => {
    const { rows } = mergeRows([], [row("4"), row("3"), row("2")], NEWEST);
    assert.deepEqual(mergeRows(rows, [row("1")], NEWEST), { rows, hasOverflow: false });
    assert.deepEqual(mergeRows(rows, [row("5")], OLDER), { rows, hasOverflow: false });
  });

  it("keep the newer state of a task if an older state arrives later", () => {
    const { rows } = mergeRows([], [row("1", { lastSeq: 5n, status: "succeeded" })], NEWEST);
    assert.equal(mergeRows(rows, [row("1", { lastSeq: 4n })], NEWEST).rows, rows);
    const changed = mergeRows(rows, [row("1", { lastSeq: 5n, status: "succeeded" })], OLDER).rows;
    assert.deepEqual(changed, rows);
  });

  it("exclude a task that no longer matches the filter", () => {
    const bounds = { ...NEWEST, filter: { ...NO_FILTER, statuses: ["running" as const] } };
    const { rows } = mergeRows([], [row("1"), row("2")], bounds);
    assert.deepEqual(idsOf(mergeRows(rows, [row("1", { lastSeq: 2n, status: "failed" })], bounds).rows), ["2"]);
    assert.equal(mergeRows(rows, [row("3", { status: "failed" })], bounds).rows, rows);
  });
});

function row(taskId: string, { lastSeq = 1n, status = "running" as TaskStatus } = {}): TaskRow {
  return { task: { taskId, lastSeq, status } as Task, progress: null };
}

function idsOf(rows: readonly TaskRow[]): string[] {
  return rows.map(({ task }) => task.taskId);
}
