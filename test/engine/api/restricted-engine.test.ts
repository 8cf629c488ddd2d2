import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { SpoolError } from "../../../src/domain/errors.ts";
import { ALL_GRANTS, matchesAny, maySee } from "../../../src/domain/principal.ts";
import type { Principal } from "../../../src/domain/principal.ts";
import { restrictEngine } from "../../../src/engine/api/restricted-engine.ts";
import type { TaskEngine, TaskView } from "../../../src/engine/api/task-engine.ts";
import { startEngine, taskRequest } from "../../support/engines.ts";
import type { TestEngine } from "../../support/engines.ts";
import { offerOf } from "../../support/scripted-worker.ts";
import { openPostgres } from "../../support/stores.ts";
import type { TestStore } from "../../support/stores.ts";

const KINDS = ["a", "a.b", "ab", "b"];
const RUNS = { numRuns: 30 };
const NEVER = new AbortController().signal;

const LABELS = fc.dictionary(fc.constantFrom("team", "env"), fc.constantFrom("x", "y"), { noNullPrototype: true });
const PATTERNS = fc.array(fc.constantFrom("a", "a*", "a.*", "b", "*", "none"), { maxLength: 3 });

/** Calls that concern one task, by the method of the engine. */
const ONE_TASK: Partial<Record<keyof TaskEngine, (engine: TaskEngine, taskId: string) => Promise<unknown>>> = {
  getTask: (engine, taskId) => engine.getTask(taskId),
  cancelTask: (engine, taskId) => engine.cancelTask(taskId, { reason: "enough", by: null }),
  deleteTask: (engine, taskId) => engine.deleteTask(taskId, null),
  readEvents: (engine, taskId) => engine.readEvents({ taskId, fromSeq: 1n, limit: 1, waitMs: 0 }, NEVER),
  followTape: (engine, taskId) => firstOf(engine.followTape({ taskId, fromSeq: 1n, heartbeatMs: 1 }, NEVER)),
  waitForResult: (engine, taskId) => engine.waitForResult({ taskId, waitMs: 0 }, NEVER),
};

/** The calls that do not. */
const MANY_TASKS: Partial<Record<keyof TaskEngine, (engine: TaskEngine) => Promise<unknown>>> = {
  startTask: (engine) => engine.startTask(taskRequest({ kind: "a" })),
  listTasks: (engine) => list(engine),
  getActivity: (engine) => engine.getActivity({ windowMs: 60_000, stepMs: 1_000, kinds: [] }),
  connectWorker: (engine) => connectAndLeave(engine, "a"),
  listSessions: (engine) => engine.listSessions(),
  followTasks: (engine) => followed(engine),
};

async function firstOf<Item>(items: AsyncIterable<Item>): Promise<Item | undefined> {
  for await (const item of items) return item;
  return undefined;
}

type Filter = { kinds?: readonly string[]; labels?: Readonly<Record<string, string>> };

async function list(engine: TaskEngine, filter: Filter = {}): Promise<string[]> {
  const all = { limit: 1_000, beforeTaskId: null, statuses: [], kinds: [], labels: {} };
  return (await engine.listTasks({ ...all, ...filter })).tasks.map(({ taskId }) => taskId).toSorted();
}

/** Returns the ids of the tasks of the first round. */
async function followed(engine: TaskEngine, filter: Filter = {}): Promise<string[]> {
  const all = { kinds: [], labels: {}, view: "tasks" as const, cursor: null, fromStart: true };
  const ids = new Set<string>();
  let empty = 0;
  for await (const page of engine.followTasks({ ...all, ...filter, heartbeatMs: 1, intervalMs: 0 }, NEVER)) {
    for (const { taskId } of page.tasks) ids.add(taskId);
    if (page.tasks.length === 0 && ++empty === 2) break; // The first page is always empty.
  }
  return [...ids].toSorted();
}

async function connectAndLeave(engine: TaskEngine, kind: string): Promise<void> {
  const hello = { capacity: 1, resumeToken: null, running: [], host: "h", pid: 1, isDraining: true };
  const worker = await engine.connectWorker({ ...hello, kinds: [offerOf(kind)] }, () => {});
  await worker.close({ hasLeft: true });
}

/** Returns all that a caller learns from an error. An id in the error is replaced, to compare errors of two tasks. */
async function errorOf(call: Promise<unknown>, taskId = "none") {
  const error = await call.then(
    () => assert.fail("the call did not fail"),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof SpoolError, String(error));
  const { reason, message, metadata, violations, retryAfterMs } = error;
  return JSON.parse(
    JSON.stringify({ reason, message, metadata, violations, retryAfterMs }).replaceAll(taskId, "ID"),
  ) as { reason: string; message: string; metadata: Record<string, string> };
}

describe("an engine that is restricted to the tasks of a caller", () => {
  let store: TestStore;
  let engine: TestEngine;
  const tasks: TaskView[] = [];
  let removed: string;
  before(async () => {
    store = await openPostgres();
    engine = await startEngine(store);
    for (const [index, labels] of fc.sample(LABELS, { numRuns: 24, seed: 1 }).entries()) {
      const request = taskRequest({ kind: KINDS[index % KINDS.length]!, labels });
      tasks.push((await engine.startTask(request)).task);
    }
    removed = (await engine.startTask(taskRequest({ kind: "a" }))).task.taskId;
    await engine.cancelTask(removed, { reason: "", by: null });
    await engine.deleteTask(removed, null);
  });
  after(async () => {
    await engine[Symbol.asyncDispose]();
    await store[Symbol.asyncDispose]();
  });

  const PRINCIPAL: fc.Arbitrary<Principal> = fc
    .record({ kinds: PATTERNS, labels: LABELS, own: fc.option(fc.nat({ max: 23 }), { freq: 3 }) })
    .map(({ own, ...grants }) => ({
      ...ALL_GRANTS,
      ...grants,
      name: "the caller",
      taskId: own === null ? null : tasks[own]!.taskId,
    }));
  const MANY = PRINCIPAL.map((principal): Principal => ({ ...principal, taskId: null }));
  const each = (principals: fc.Arbitrary<Principal>, check: (principal: Principal) => Promise<void>) =>
    fc.assert(fc.asyncProperty(principals, check), RUNS);
  const visibleTo = (principal: Principal) => tasks.filter((task) => maySee(principal, task));

  it("has a rule for every method, which this test has as well", () => {
    const known = [...Object.keys(ONE_TASK), ...Object.keys(MANY_TASKS)];
    assert.deepEqual(Object.keys(restrictEngine(engine, { ...ALL_GRANTS, name: "x" })).toSorted(), known.toSorted());
  });

  it("answers for a task that the caller may not see as for a missing one, by every method", () =>
    each(PRINCIPAL, async (principal) => {
      const restricted = restrictEngine(engine, principal);
      const missing = randomUUID();
      const foreign = [
        ...tasks
          .filter((task) => !maySee(principal, task))
          .slice(0, 2)
          .map(({ taskId }) => taskId),
        removed,
      ];
      for (const [name, call] of Object.entries(ONE_TASK)) {
        const expected = await errorOf(call(restricted, missing), missing);
        assert.equal(expected.reason, "TASK_NOT_FOUND");
        for (const taskId of foreign) assert.deepEqual(await errorOf(call(restricted, taskId), taskId), expected, name);
      }
    }));

  it("answers for a task that the caller may see as the whole engine does", () =>
    each(PRINCIPAL, async (principal) => {
      const restricted = restrictEngine(engine, principal);
      for (const { taskId } of visibleTo(principal).slice(0, 2)) {
        assert.deepEqual(await restricted.getTask(taskId), await engine.getTask(taskId));
        const read = { taskId, fromSeq: 1n, limit: 10, waitMs: 0 };
        assert.deepEqual(await restricted.readEvents(read, NEVER), await engine.readEvents(read, NEVER));
        for (const name of ["deleteTask", "waitForResult"] as const) {
          const call = ONE_TASK[name]!;
          assert.equal((await errorOf(call(restricted, taskId))).reason, "TASK_NOT_TERMINAL");
        }
        await ONE_TASK.followTape!(restricted, taskId);
      }
    }));

  it("lists and follows the tasks that the caller may see, and no more if the filter asks for more", () =>
    fc.assert(
      fc.asyncProperty(MANY, fc.subarray(KINDS), LABELS, async (principal, kinds, labels) => {
        const restricted = restrictEngine(engine, principal);
        const ids = (filter: { kinds: readonly string[]; labels: Readonly<Record<string, string>> }) =>
          visibleTo(principal)
            .filter(({ kind }) => filter.kinds.length === 0 || filter.kinds.includes(kind))
            .filter((task) => maySee({ ...ALL_GRANTS, labels: filter.labels }, task))
            .map(({ taskId }) => taskId)
            .toSorted();
        const contradicts = Object.entries(principal.labels).some(([key, value]) => (labels[key] ?? value) !== value);
        const asksForMore = contradicts || kinds.some((kind) => !matchesAny(principal.kinds, kind));
        for (const read of [list, followed]) {
          assert.deepEqual(await read(restricted), ids({ kinds: [], labels: {} }));
          const filter = { kinds, labels };
          if (asksForMore) assert.equal((await errorOf(read(restricted, filter))).reason, "PERMISSION_DENIED");
          else assert.deepEqual(await read(restricted, filter), ids(filter));
        }
      }),
      RUNS,
    ));

  it("counts activity of the caller's kinds only, and none for callers with labels", () =>
    each(MANY, async (principal) => {
      const activity = restrictEngine(engine, principal).getActivity({ windowMs: 60_000, stepMs: 1_000, kinds: [] });
      if (Object.keys(principal.labels).length > 0) {
        assert.equal((await errorOf(activity)).reason, "PERMISSION_DENIED");
      } else {
        const kinds = (await activity).kinds.map(({ kind }) => kind);
        assert.deepEqual(kinds, KINDS.filter((kind) => matchesAny(principal.kinds, kind)).toSorted());
      }
    }));

  it("connects workers of the caller's kinds only, and none for callers with labels", () =>
    fc.assert(
      fc.asyncProperty(MANY, fc.constantFrom("w", "a"), async (principal, kind) => {
        const isAllowed = matchesAny(principal.kinds, kind) && Object.keys(principal.labels).length === 0;
        const connected = connectAndLeave(restrictEngine(engine, principal), kind);
        if (isAllowed) await connected;
        else assert.equal((await errorOf(connected)).reason, "PERMISSION_DENIED");
      }),
      { numRuns: 10 },
    ));

  it("shows the sessions that run a kind of the caller, without their other kinds", async () => {
    const kindsFor = async (kinds: readonly string[]) => {
      const restricted = restrictEngine(engine, { ...ALL_GRANTS, kinds, name: "x" });
      return (await restricted.listSessions()).sessions.map((session) => session.kinds);
    };
    assert.deepEqual(await kindsFor(["echo", "x"]), [["echo"]]);
    assert.deepEqual(await kindsFor(["x"]), []);
  });

  it("starts tasks of the caller's kinds with the caller's labels", () =>
    fc.assert(
      fc.asyncProperty(MANY, fc.constantFrom("s", "a"), LABELS, async (principal, suffix, labels) => {
        const kind = `${suffix}.started`;
        const restricted = restrictEngine(engine, principal);
        const contradicts = Object.entries(principal.labels).some(([key, value]) => (labels[key] ?? value) !== value);
        const runAt = new Date(Date.now() + 3_600_000);
        const started = restricted.startTask(taskRequest({ kind, labels, runAt }));
        if (contradicts || !matchesAny(principal.kinds, kind)) {
          assert.equal((await errorOf(started)).reason, "PERMISSION_DENIED");
        } else {
          const { task } = await started;
          assert.deepEqual(task.labels, { ...labels, ...principal.labels });
          tasks.push(task);
        }
      }),
      RUNS,
    ));

  it("reveals of a request_id of another task only that it is taken", async () => {
    const [owner, other] = ["x", "y"].map((team) =>
      restrictEngine(engine, { ...ALL_GRANTS, name: team, labels: { team } }),
    );
    const request = taskRequest({ kind: "a.started", requestId: "the id" });
    const { task } = await owner!.startTask(request);
    const own = await errorOf(owner!.startTask({ ...request, params: { a: 1 } }));
    assert.equal(own.metadata["task_id"], task.taskId);
    const refused = await errorOf(other!.startTask(request));
    assert.deepEqual([refused.reason, refused.metadata], ["REQUEST_ID_REUSED", { request_id: "the id" }]);
    assert.ok(!JSON.stringify(refused).includes(task.taskId));
    const again = await owner!.startTask(request);
    assert.deepEqual([again.alreadyStarted, again.task.taskId], [true, task.taskId]);
    tasks.push(task);
  });

  it("names only the caller's kinds if a kind is unknown", async () => {
    await using refusing = await startEngine(store, { unknownKinds: "refuse" });
    const message = async (kinds: string[]) => {
      const restricted = restrictEngine(refusing, { ...ALL_GRANTS, kinds, name: "x" });
      return (await errorOf(restricted.startTask(taskRequest({ kind: "a" })))).message;
    };
    assert.match(await message(["*"]), /known kinds: echo$/);
    assert.doesNotMatch(await message(["a"]), /echo/);
  });

  it("refuses every call that does not concern one task to callers with one task", async () => {
    const restricted = restrictEngine(engine, { ...ALL_GRANTS, name: "x", taskId: tasks[0]!.taskId });
    for (const [name, call] of Object.entries(MANY_TASKS)) {
      assert.equal((await errorOf(call(restricted))).reason, "PERMISSION_DENIED", name);
    }
  });
});
