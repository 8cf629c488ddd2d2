import assert from "node:assert/strict";
import fc from "fast-check";
import { formatRoute, isTaskId, isTaskIdPrefix, NO_FILTER, parseLabel, parseRoute } from "../../src/console/route.ts";
import type { Route } from "../../src/console/route.ts";
import { TASK_STATUSES } from "../../src/domain/task.ts";

describe("a route of the console", () => {
  it("is the same after it was written to a URL and parsed, for any kinds and labels", () => {
    const text = fc.string({ unit: "grapheme", minLength: 1 });
    const labelKey = fc.stringMatching(/^[A-Za-z0-9._/-]{1,12}$/).filter((key) => key !== "__proto__");
    const labels = fc.array(fc.tuple(labelKey, text), { maxLength: 3 }).map((entries): Record<string, string> => {
      return Object.fromEntries(entries.map(([key, value]) => [key, value.trim()]));
    });
    const list = fc
      .tuple(fc.subarray([...TASK_STATUSES]), fc.uniqueArray(text, { maxLength: 3 }), labels)
      .map(([statuses, kinds, carried]): Route => {
        return { page: "tasks", filter: { statuses, kinds, labels: carried }, pageToken: "AAEC_-" };
      });
    const task = fc
      .tuple(fc.uuid(), fc.option(fc.integer({ min: 1 }), { nil: null }))
      .map(([taskId, seq]): Route => ({ page: "task", taskId, seq }));
    const start = fc.option(fc.uuid(), { nil: null }).map((from): Route => ({ page: "start", from }));
    const route = fc.oneof(list, task, start, fc.constant<Route>({ page: "overview" }));
    fc.assert(fc.property(route, (wanted) => assert.deepEqual(parseRoute(formatRoute(wanted)), wanted)));
  });

  it("is the list for an empty fragment and unknown for a fragment of no page", () => {
    const list = { page: "tasks", filter: NO_FILTER, pageToken: "" };
    for (const fragment of ["", "#", "#/", "#/tasks", "#/tasks/"]) assert.deepEqual(parseRoute(fragment), list);
    for (const fragment of ["#/elsewhere", "#/tasks/a/b", "#/start/a"]) {
      assert.deepEqual(parseRoute(fragment), { page: "unknown" });
    }
  });

  it("ignores invalid parameters", () => {
    assert.deepEqual(parseRoute("#/tasks?status=odd&status=failed&label=none&label==x"), {
      page: "tasks",
      filter: { statuses: ["failed"], kinds: [], labels: {} },
      pageToken: "",
    });
    for (const seq of ["0", "-1", "x", "1.5", "9".repeat(16)]) {
      assert.deepEqual(parseRoute(`#/tasks/id?seq=${seq}`), { page: "task", taskId: "id", seq: null });
    }
  });
});

describe("a typed label", () => {
  it("is parsed as a key and a value, and the value may contain =", () => {
    assert.deepEqual(parseLabel("team=a=b"), ["team", "a=b"]);
    assert.deepEqual(parseLabel(" team = search "), ["team", "search"]);
    assert.deepEqual(parseLabel("team="), ["team", ""]);
    for (const none of ["", "team", "=x"]) assert.equal(parseLabel(none), null);
  });
});

describe("a prefix of a task id", () => {
  const ID = "01934c1e-6f0a-7c3e-9d55-1f1f5b0e7a11";

  it("is accepted with 8 to 35 characters of an id", () => {
    for (let length = 0; length <= ID.length; length++) {
      assert.equal(isTaskIdPrefix(ID.slice(0, length)), length >= 8 && length <= 35, `${length}`);
      assert.equal(isTaskIdPrefix(ID.slice(0, length).toUpperCase()), length >= 8 && length <= 35, `${length}`);
    }
    assert.equal(isTaskId(ID), true);
  });

  it("is refused if no task id can begin with it", () => {
    for (const text of ["01934c1ex", "01934c1e6f0a", "hello-world", `${ID}0`]) {
      assert.deepEqual([isTaskIdPrefix(text), isTaskId(text)], [false, false], text);
    }
  });
});
