import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import { stopAttempt } from "../../../src/domain/lifecycle.ts";
import type { Task } from "../../../src/domain/task.ts";
import { claimTasks } from "../../../src/store/tasks/claim-statement.ts";
import { writeFlush } from "../../../src/store/tapes/journal-statement.ts";
import { lockTask } from "../../../src/store/tasks/transitions.ts";
import { createTask, SUCCEEDED } from "../../support/new-tasks.ts";
import { describeOnEachStore } from "../../support/stores.ts";
import { decideOn } from "../decisions.ts";

const HOUR_MS = 3_600_000;
const KEY = "key";
const KEYS = [KEY, "a", "b", "c"];

describeOnEachStore("claimTasks", (store) => {
  let namespace: string;
  beforeEach(() => {
    namespace = randomUUID();
  });

  const db = () => store().db;
  const create = (options: Partial<Parameters<typeof createTask>[1]> = {}) =>
    createTask(db(), { namespace, ...options });
  const keyed = (options: Parameters<typeof create>[0] = {}) => create({ exclusiveKey: KEY, ...options });
  // As the claimer of an engine, it checks the keys that may have become free.
  const claim = async (limit: number, { kinds = ["echo"], on = db(), window = limit + 1 } = {}) =>
    (await claimTasks(on, { namespace, kinds, lease: randomUUID(), limit, window, keys: KEYS })).tasks;
  const claimIds = async (...query: Parameters<typeof claim>) => ids(await claim(...query));
  const ids = (tasks: { taskId: string }[]) => tasks.map(({ taskId }) => taskId);
  const end = async ({ taskId, lease, attempt }: Task) => {
    const fence = { taskId, lease: lease!, attempt };
    const append = { fence, appended: 0n, events: [SUCCEEDED], end: "succeeded" as const };
    assert.equal((await writeFlush(db(), { creates: [], appends: [append] })).applied.length, 1);
  };
  const several = async (count: number, make: () => ReturnType<typeof create>) => {
    const tasks: { taskId: string }[] = [];
    while (tasks.length < count) tasks.push(await make());
    return tasks;
  };

  it("leaves out a task past its deadline, which delays no task behind it", async () => {
    const past = { deadlineAt: new Date(Date.now() - HOUR_MS) };
    await create(past);
    await create({ ...past, exclusiveKey: KEY });
    const [free, inTime] = [await create(), await keyed({ deadlineAt: new Date(Date.now() + HOUR_MS) })];
    assert.deepEqual(await claimIds(2), [free.taskId, inTime.taskId]);
    assert.deepEqual(await claimIds(9), []);
  });

  it("takes a task until exactly its deadline", async () => {
    const { taskId } = await create();
    for (const [micros, taken] of [
      [-1, []],
      [0, []],
      [1, [taskId]],
    ] as const) {
      await db()
        .transaction()
        .execute(async (trx) => {
          // Within a transaction the time stands still.
          await sql`update tasks set deadline_at = now() + ${micros}::int * interval '1 microsecond'
            where task_id = ${taskId}`.execute(trx);
          assert.deepEqual(await claimIds(9, { on: trx }), taken);
        });
    }
  });

  it("takes the oldest task of a key first, with any number of concurrent claims", async () => {
    const tasks = await several(8, keyed);
    for (const { taskId } of tasks) {
      const claims = await Promise.all(Array.from({ length: 5 }, () => claim(3)));
      assert.deepEqual(ids(claims.flat()), [taskId]);
      await end(claims.flat()[0]!);
    }
    assert.deepEqual(await claimIds(3), []);
  });

  it("takes tasks behind a long queue on one key, if it reads far enough", async () => {
    const queue = await several(20, keyed);
    const [free, other] = [await create(), await create({ exclusiveKey: "other" })];
    const last = await create();
    const taken = await claim(3, { window: 30 });
    assert.deepEqual(ids(taken), [queue[0]!.taskId, free.taskId, other.taskId]);
    // Its key is held now: the rest of the queue is still ahead of the last one, and not in its way.
    assert.deepEqual(await claimIds(1), [last.taskId]);
    await end(taken[0]!);
    assert.deepEqual(await claimIds(3), [queue[1]!.taskId]);
  });

  it("takes the oldest task of each key in one claim", async () => {
    const tasks: { taskId: string }[] = [];
    for (let round = 0; round < 3; round++) {
      for (const exclusiveKey of ["a", "b", "c"]) tasks.push(await create({ exclusiveKey }));
    }
    for (let round = 0; round < 3; round++) {
      const taken = await claim(3);
      assert.deepEqual(ids(taken), ids(tasks.slice(3 * round, 3 * round + 3)));
      for (const task of taken) await end(task);
    }
  });

  it("takes equally many tasks of each kind, and then more of the kind that has more", async () => {
    const many = await several(6, create);
    const few = await several(2, () => create({ kind: "few" }));
    const other = await several(2, () => keyed({ kind: "other" }));
    const kinds = ["other", "echo", "few"];
    const first = await claimIds(5, { kinds });
    assert.deepEqual(
      first.toSorted(),
      [many[0]!, many[1]!, few[0]!, few[1]!, other[0]!].map((task) => task.taskId).sort(),
    );
    assert.deepEqual(await claimIds(3, { kinds }), ids(many.slice(2, 5)));
  });

  it("takes a task despite an older task of its key that is not due", async () => {
    const later = await keyed({ runAt: new Date(Date.now() + HOUR_MS) });
    const due = await keyed();
    const [taken] = await claim(9);
    assert.equal(taken?.taskId, due.taskId);
    await db()
      .updateTable("tasks")
      .set({ run_at: new Date(0) })
      .where("task_id", "=", later.taskId)
      .execute();
    assert.deepEqual(await claimIds(9), []);
    await end(taken);
    assert.deepEqual(await claimIds(9), [later.taskId]);
  });

  it("takes a task despite an older task of its key with another kind or in another namespace", async () => {
    const other = await keyed({ kind: "other" });
    await createTask(db(), { namespace: randomUUID(), exclusiveKey: KEY });
    const younger = await keyed();
    const [taken] = await claim(9);
    assert.equal(taken?.taskId, younger.taskId);
    assert.deepEqual(await claimIds(9, { kinds: ["echo", "other"] }), []);
    await end(taken);
    await keyed();
    assert.deepEqual(await claimIds(9, { kinds: ["echo", "other"] }), [other.taskId]);
  });

  it("takes a task that was handed over before the younger tasks of its key", async () => {
    const [first] = await several(3, keyed);
    await claim(1);
    await db()
      .transaction()
      .execute(async (trx) =>
        decideOn(trx, await lockTask(trx, { namespace, taskId: first!.taskId }), (task, moment) =>
          stopAttempt(task, "handover", moment),
        ),
      );
    const [again] = await claim(9);
    assert.deepEqual([again?.taskId, again?.attempt], [first!.taskId, 2]);
  });
});
