import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { fromStart } from "../../../src/domain/follow-cursor.ts";
import { SpoolError } from "../../../src/domain/errors.ts";
import { matchesAny } from "../../../src/domain/principal.ts";
import { readActivity } from "../../../src/store/reports/activity-queries.ts";
import { readChangedTapes, readChangedTasks } from "../../../src/store/tapes/changed-tasks.ts";
import { listTasks, readTask } from "../../../src/store/tasks/task-queries.ts";
import { createRunning } from "../../support/new-tasks.ts";
import { describeOnEachStore } from "../../support/stores.ts";

const KINDS = ["a", "a.b", "a_b", "aXb", "ab", "a-", "b", "B"];
const KIND = fc.constantFrom(...KINDS);
const PATTERN = fc.oneof(
  KIND,
  KIND.map((kind) => `${kind}*`),
  fc.constantFrom("*", "a%*", "_*", "%", "", "x*"),
);
const RUNS = { numRuns: 15 };

describeOnEachStore("a filter by patterns of kinds", (store) => {
  const namespace = randomUUID();
  const byKind = new Map<string, string>();
  before(async () => {
    for (const kind of KINDS) byKind.set(kind, (await createRunning(store().db, { namespace, kind })).taskId);
    await createRunning(store().db, { namespace: randomUUID(), kind: "a" });
  });

  const expected = (patterns: readonly string[]) =>
    KINDS.filter((kind) => patterns.length === 0 || matchesAny(patterns, kind)).toSorted();
  const each = (check: (patterns: string[]) => Promise<unknown>) =>
    fc.assert(
      fc.asyncProperty(fc.array(PATTERN, { maxLength: 3 }), (patterns) => check(patterns).then(() => {})),
      RUNS,
    );
  const kindsOf = (found: readonly { kind: string }[]) => found.map(({ kind }) => kind).toSorted();

  it("takes the same kinds in lists as the rights of callers", () =>
    each(async (kinds) => {
      const filter = { limit: 100, beforeTaskId: null, statuses: [], kinds, labels: {} };
      assert.deepEqual(kindsOf(await listTasks(store().db, namespace, filter)), expected(kinds));
    }));

  it("takes the same kinds in the streams over many tasks, in both views", () =>
    each(async (kinds) => {
      const query = { ...fromStart(0), namespace, kinds, labels: {}, limit: 100, mustBeDurable: false };
      assert.deepEqual(kindsOf((await readChangedTapes(store().db, query)).tasks), expected(kinds));
      const { tasks } = await readChangedTasks(store().db, query);
      assert.deepEqual(kindsOf(tasks.map(({ task }) => task)), expected(kinds));
    }));

  it("takes the same kinds in the activity", () =>
    each(async (kinds) => {
      const activity = await readActivity(store().db, { namespace, windowMs: 60_000, stepMs: 1_000, kinds });
      assert.deepEqual(kindsOf(activity.kinds), expected(kinds));
    }));

  it("finds a task of another kind as little as a missing task", () =>
    each(async (kinds) => {
      const read = (taskId: string) =>
        readTask(store().db, { namespace, taskId, only: { kinds, labels: {} } }).then(
          ({ kind }) => kind,
          (error: SpoolError) => ({ reason: error.reason, message: error.message.replace(taskId, "ID") }),
        );
      const missing = await read(randomUUID());
      for (const [kind, taskId] of byKind) {
        assert.deepEqual(await read(taskId), expected(kinds).includes(kind) ? kind : missing);
      }
    }));
});
