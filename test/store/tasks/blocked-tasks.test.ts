import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import { unblockTasks } from "../../../src/store/tasks/blocked-tasks.ts";
import { claimTasks } from "../../../src/store/tasks/claim-statement.ts";
import { writeFlush } from "../../../src/store/tapes/journal-statement.ts";
import { DEFAULT_RETRY_POLICY } from "../../../src/domain/retry.ts";
import { releaseValidated } from "../../../src/store/tasks/unvalidated-tasks.ts";
import { readClaimable } from "../../../src/store/reports/waiting-queries.ts";
import { createTask, SUCCEEDED } from "../../support/new-tasks.ts";
import { describeOnEachStore } from "../../support/stores.ts";

const HOUR_MS = 3_600_000;

describeOnEachStore("tasks that wait for an exclusive key", (store) => {
  let namespace: string;
  beforeEach(() => {
    namespace = randomUUID();
  });

  const db = () => store().db;
  const create = async (options: Partial<Parameters<typeof createTask>[1]> = {}) =>
    (await createTask(db(), { namespace, exclusiveKey: "key", ...options })).taskId;
  const claim = ({ keys = [] as string[], limit = 9, kinds = ["echo"] } = {}) =>
    claimTasks(db(), { namespace, kinds, lease: randomUUID(), limit, keys });
  const claimIds = async (parts: Parameters<typeof claim>[0] = {}) => {
    const { tasks } = await claim(parts);
    return tasks.map(({ taskId }) => taskId);
  };
  const unblock = (after: string | null = null, limit = 100) => unblockTasks(db(), { namespace, after, limit });
  const blocked = async () => {
    const rows = db().selectFrom("tasks").select("task_id").where("namespace", "=", namespace);
    return (await rows.where("blocked", "=", true).orderBy("task_id").execute()).map((row) => row.task_id);
  };
  const hold = async (key = "key") => {
    const taskId = await create({ exclusiveKey: key });
    const { tasks } = await claim();
    const task = tasks.find((one) => one.taskId === taskId)!;
    const fence = { taskId, lease: task.lease!, attempt: 1 };
    const end = { fence, appended: 0n, events: [SUCCEEDED], end: "succeeded" as const };
    return { release: () => writeFlush(db(), { creates: [], appends: [end] }) };
  };

  it("are blocked from their start if the key is held, unless they are not due yet", async () => {
    const free = await create({ exclusiveKey: "free" });
    await hold();
    const waiting = await create();
    await create({ runAt: new Date(Date.now() + HOUR_MS) });
    await create({ exclusiveKey: null });
    assert.deepEqual(await blocked(), [waiting]);
    assert.equal((await claimIds()).includes(free), false, "taken by the claim of hold()");
  });

  it("are blocked when they are validated while the key is held", async () => {
    await hold();
    const taskId = await create({ isUnvalidated: true, exclusiveKey: null });
    await releaseValidated(db(), { taskId, exclusiveKey: "key", maxAttempts: 1, retryPolicy: DEFAULT_RETRY_POLICY });
    assert.deepEqual(await blocked(), [taskId]);
  });

  it("are blocked by the claim that reads them, which returns the key", async () => {
    const [first, second, third] = [await create(), await create(), await create()];
    const { tasks, blockedKeys } = await claim();
    assert.deepEqual([tasks.map(({ taskId }) => taskId), blockedKeys], [[first], ["key"]]);
    assert.deepEqual(await blocked(), [second, third]);
    assert.deepEqual((await claim()).blockedKeys, []);
  });

  it("are claimed one by one by claims that check the key, and not blocked while they run", async () => {
    const { release } = await hold();
    const [first, second] = [await create(), await create()];
    assert.deepEqual(await claimIds({ keys: ["key"] }), []);
    await release();
    assert.deepEqual(await claimIds(), []);
    assert.deepEqual(await claimIds({ keys: ["other", "key"] }), [first]);
    assert.deepEqual(await blocked(), [second]);
  });

  it("are unblocked, the oldest of each kind, by a claim without a free slot or without their kind", async () => {
    const { release } = await hold();
    const [first, other] = [await create(), await create({ kind: "other" })];
    await create();
    await create({ kind: "other" });
    await release();
    assert.deepEqual(await claimIds({ keys: ["key"], limit: 0 }), []);
    assert.equal((await blocked()).length, 2);
    assert.deepEqual(await claimIds({ kinds: ["other"] }), [other]);
    assert.deepEqual(await claimIds({ kinds: ["echo"] }), []);
    assert.ok((await blocked()).includes(first));
  });

  it("are unblocked by a sweep if their key is free and no claim has checked it, and until then listed for the doctor", async () => {
    const claimable = async () =>
      (await readClaimable(db(), { namespace, kindSets: [["echo"]] }))[0]!.map(({ taskId }) => taskId);
    const { release } = await hold();
    const [first, second] = [await create(), await create()];
    assert.deepEqual(await unblock(), { kinds: [], lastKey: null });
    assert.deepEqual(await claimable(), []);
    await release();
    assert.deepEqual(await claimIds(), []);
    assert.deepEqual(await claimable(), [first]);
    assert.deepEqual(await unblock(), { kinds: ["echo"], lastKey: null });
    assert.deepEqual(await unblock(), { kinds: [], lastKey: null }, "one is there by which a claim finds the key");
    assert.deepEqual(await blocked(), [second]);
    assert.deepEqual(await claimable(), [first]);
    assert.deepEqual(await claimIds(), [first]);
  });

  it("are found by successive sweeps that read a limited number of keys each", async () => {
    const holders: Awaited<ReturnType<typeof hold>>[] = [];
    for (const key of ["a", "b", "c"]) holders.push(await hold(key));
    for (const exclusiveKey of ["a", "b", "c"]) await create({ exclusiveKey });
    for (const exclusiveKey of ["a", "b", "c"]) await create({ exclusiveKey, kind: "other" });
    const [a, , c] = holders;
    for (const { release } of [a!, c!]) await release();
    const kinds = ["echo", "other"];
    assert.deepEqual(await unblock(null, 1), { kinds, lastKey: "a" });
    // The key is held still: the sweeps after this one do not read it again.
    assert.deepEqual(await unblock("a", 1), { kinds: [], lastKey: "b" });
    assert.deepEqual(await unblock("b", 2), { kinds, lastKey: null }, "fewer were there than it may read");
    assert.equal((await blocked()).length, 2);
  });

  it("can be unblocked by a sweep after an earlier version has claimed and requeued them", async () => {
    await hold();
    await create();
    // As a program of before this column claims it, and gives it back.
    await sql`update tasks set status = 'running', lease = gen_random_uuid() where blocked and namespace = ${namespace}`.execute(
      db(),
    );
    await sql`update tasks set status = 'pending', lease = null where blocked and namespace = ${namespace}`.execute(
      db(),
    );
    await sql`delete from task_exclusives where namespace = ${namespace}`.execute(db());
    assert.deepEqual((await unblock()).kinds, ["echo"]);
    assert.deepEqual(await blocked(), []);
  });
});
