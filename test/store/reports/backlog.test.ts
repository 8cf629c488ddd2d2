import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readBacklog } from "../../../src/store/reports/backlog.ts";
import { isStatementTimeout } from "../../../src/store/errors.ts";
import { writeFlush } from "../../../src/store/tapes/journal-statement.ts";
import { createRunning, createTask, newTask } from "../../support/new-tasks.ts";
import { describeOnEachStore, openPostgres } from "../../support/stores.ts";

const HOUR_MS = 3_600_000;

describeOnEachStore("the backlog", (store) => {
  let namespace: string;
  beforeEach(() => {
    namespace = randomUUID();
  });

  const read = async (kinds: readonly string[] = [], kindsMax = 100) => {
    const backlog = await readBacklog(store().db, { namespaces: [namespace], kinds, kindsMax });
    return new Map(backlog.map(({ kind, waiting, delayed }) => [kind, [waiting, delayed]]));
  };

  it("is empty if no task is pending", async () => {
    await createRunning(store().db, { namespace });
    await createTask(store().db, { namespace: randomUUID() });
    assert.deepEqual(await read(), new Map());
  });

  it("counts by kind the due tasks, validated or not, and the tasks that are not due yet", async () => {
    const { db } = store();
    await createTask(db, { namespace, kind: "due" });
    await createTask(db, { namespace, kind: "due", runAt: new Date(Date.now() - HOUR_MS) });
    await createTask(db, { namespace, kind: "due", runAt: new Date(Date.now() + HOUR_MS) });
    await createTask(db, { namespace, kind: "later", runAt: new Date(Date.now() + HOUR_MS) });
    await createTask(db, { namespace, kind: "nobody's", isUnvalidated: true });
    await createRunning(db, { namespace, kind: "due" });
    const expected = new Map([
      ["due", [2, 1]],
      ["later", [0, 1]],
      ["nobody's", [1, 0]],
    ]);
    assert.deepEqual(await read(), expected);
  });

  it("has the time for which the oldest task has been due, and 0 for a kind without due tasks", async () => {
    const { db } = store();
    await createTask(db, { namespace, kind: "late", runAt: new Date(Date.now() - HOUR_MS) });
    await createTask(db, { namespace, kind: "late" });
    await createTask(db, { namespace, kind: "later", runAt: new Date(Date.now() + HOUR_MS) });
    const backlog = await readBacklog(db, { namespaces: [namespace], kinds: [], kindsMax: 100 });
    const { late, later } = Object.fromEntries(backlog.map(({ kind, oldestMs }) => [kind, oldestMs]));
    assert.ok(late! >= HOUR_MS - 1_000 && late! < HOUR_MS + 60_000, `${late}`);
    assert.equal(later, 0);
  });

  it("lists the given kinds first, then those with the most tasks, and counts the rest together", async () => {
    const { db } = store();
    const named = (kind: string, count: number) => Array.from({ length: count }, () => newTask({ namespace, kind }));
    const tasks = [...named("one", 1), ...named("two", 2), ...named("three", 3), ...named("four", 4)];
    await writeFlush(db, { creates: tasks.map((task) => ({ task, events: [] })), appends: [] });
    const all = { one: [1, 0], two: [2, 0], three: [3, 0], four: [4, 0] };
    assert.deepEqual(await read([], 4), new Map(Object.entries(all)));
    const { four, three } = all;
    assert.deepEqual(await read([], 2), new Map<string | null, number[]>([["four", four], ["three", three], [null, [3, 0]]])); // prettier-ignore
    assert.deepEqual(await read(["one"], 1), new Map<string | null, number[]>([["one", [1, 0]], [null, [9, 0]]])); // prettier-ignore
  });
});

describe("on Postgres, the backlog", () => {
  it("ends with a statement timeout after its time limit", async () => {
    await using store = await openPostgres();
    const namespace = randomUUID();
    const tasks = Array.from({ length: 20_000 }, (_, index) => newTask({ namespace, kind: `kind-${index}` }));
    await writeFlush(store.db, { creates: tasks.map((task) => ({ task, events: [] })), appends: [] });
    const query = { namespaces: [namespace], kinds: [], kindsMax: 100 };
    assert.equal((await readBacklog(store.db, query)).length, 101);
    await assert.rejects(readBacklog(store.db, query, 1), isStatementTimeout);
    assert.equal(store.stats().errors.refused, 1);
  });
});
