import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { HOME_SHARD } from "../../../src/domain/shard.ts";
import type { Engine } from "../../../src/engine/engine.ts";
import { cleanMove, moveNamespace, undoMove } from "../../../src/server/placement/move-namespace.ts";
import type { MoveNotice } from "../../../src/server/placement/move-namespace.ts";
import { digestStored } from "../../../src/server/import/stored-digest.ts";
import { packNextTapes } from "../../../src/store/tapes/packing.ts";
import { readTask } from "../../../src/store/tasks/task-queries.ts";
import { closeNamespace } from "../../../src/store/moves/moved-namespaces.ts";
import type { TestEngines } from "../../support/all-engines.ts";
import { start, wholeTape } from "../../support/engine-tasks.ts";
import { taskRequest } from "../../support/engines.ts";
import { eventually } from "../../support/eventually.ts";
import { Followed, followQuery } from "../../support/followed-tasks.ts";
import { createTask, outline } from "../../support/new-tasks.ts";
import { createOn, openShardedDatabases, startShardedEngines } from "../../support/sharded-service.ts";
import type { ShardedDatabases } from "../../support/sharded-service.ts";
import { Stage } from "../../support/stage.ts";

const WAIT_MS = 20_000;

describe("a move of a namespace to another shard", function () {
  this.timeout(90_000);
  let on: ShardedDatabases;
  let engines: TestEngines;
  const stage = new Stage();
  before(async () => {
    on = await openShardedDatabases();
    engines = await startShardedEngines(on, { kinds: [stage.kind] });
  });
  after(async () => {
    await engines?.[Symbol.asyncDispose]();
    await on?.[Symbol.asyncDispose]();
  });

  const flags = () => ({ databaseUrl: on.homeUrl });
  const dbOf = (shard: string) => engines.shards.get(shard)!.parts.store.db;

  async function move(name: string, to: string, onNotice: (notice: MoveNotice) => void = () => {}): Promise<void> {
    await moveNamespace(flags(), { name, to }, { waitMs: WAIT_MS, onNotice });
    await served(name, to);
  }

  /** Waits until the engines serve a namespace from a shard. */
  async function served(name: string, shard: string): Promise<Engine> {
    return eventually(
      () => {
        assert.ok(engines.namespacesOn(engines.shards.get(shard)!).includes(name));
        return engines.of(name);
      },
      { timeoutMs: WAIT_MS },
    );
  }

  async function countRows(shard: string, namespace: string): Promise<number> {
    const { db } = engines.shards.get(shard)!.parts.store;
    return (await db.selectFrom("tasks").select("task_id").where("namespace", "=", namespace).execute()).length;
  }

  it("keeps tapes, packed or not, by their digests, and the request ids", async () => {
    const name = await createOn(on, engines, { shard: "b" });
    const engine = engines.of(name);
    const ids: string[] = [];
    for (let n = 0; n < 5; n++) ids.push(await start(engine, { requestId: `r${n}`, params: { count: 100 * n } }));
    for (const id of ids) await wholeTape(engine, id);
    await packNextTapes(dbOf("b"), { namespace: name, afterMs: 0 });
    const waiting = await start(engine, { requestId: "later", runAt: new Date(Date.now() + 3_600_000) });
    const removed = await start(engine);
    await wholeTape(engine, removed);
    await engine.deleteTask(removed, null);
    const digestsOn = (shard: string) =>
      Promise.all(
        ids.map(async (taskId) => {
          const task = await readTask(dbOf(shard), { namespace: name, taskId });
          return digestStored(dbOf(shard), name, { ...task, awaitsWorker: false });
        }),
      );
    const before = await digestsOn("b");
    await move(name, "c");
    assert.deepEqual(await digestsOn("c"), before);
    const moved = engines.of(name);
    const again = await moved.startTask(taskRequest({ requestId: "r1", params: { count: 100 } }));
    assert.deepEqual([again.task.taskId, again.alreadyStarted], [ids[1], true]);
    assert.equal((await moved.getTask(waiting)).status, "pending");
    await assert.rejects(moved.getTask(removed), { reason: "TASK_EXPIRED" });
    assert.equal(outline(await wholeTape(moved, await start(moved))).at(-1), "final");
    await cleanMove(flags(), name, { onNotice() {} });
    assert.equal(await countRows("b", name), 0);
    assert.equal(await countRows("c", name), 7);
  });

  it("leaves running tasks to their next attempt, and lets starts with retries succeed", async () => {
    const name = await createOn(on, engines, { shard: "b" });
    const actor = stage.actor();
    const request = { kind: stage.kind.name, params: actor.params, maxAttempts: 2 };
    const taskId = await start(engines.of(name), request);
    await actor.enter();
    const started: string[] = [];
    const isMoved = new AbortController();
    const starting = (async () => {
      while (!isMoved.signal.aborted) {
        const requestId = randomUUID();
        const id = await eventually(() => start(engines.of(name), { requestId }), { timeoutMs: WAIT_MS });
        started.push(id);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    })();
    await move(name, "d");
    isMoved.abort();
    await starting;
    const engine = engines.of(name);
    const next = stage.actor(actor.params.key, 2);
    await next.enter();
    next.leave();
    const tape = outline(await wholeTape(engine, taskId));
    assert.equal(tape.filter((type) => type === "final").length, 1);
    assert.equal(tape.at(-1), "final");
    for (const id of started) assert.equal(outline(await wholeTape(engine, id)).at(-1), "final");
  });

  it("gives a follower of many tasks what it had not received, and then what comes", async () => {
    const name = await createOn(on, engines, { shard: "b" });
    const followed = new Followed();
    const first = await start(engines.of(name));
    await followed.follow(engines.of(name), () => hasWhole(followed, first), { fromStart: true });
    const second = await start(engines.of(name));
    await wholeTape(engines.of(name), second);
    await move(name, "c");
    const third = await start(engines.of(name));
    await followed.follow(engines.of(name), () => hasWhole(followed, second) && hasWhole(followed, third));
    for (const id of [first, second, third]) {
      assert.deepEqual(followed.tapes.get(id), await wholeTape(engines.of(name), id));
    }
    await cleanMove(flags(), name, { onNotice() {} });
  });

  for (const view of ["events", "tasks"] as const) {
    it(`gives a follower of many tasks nothing of a task that was deleted after the move, as ${view}`, async () => {
      const name = await createOn(on, engines, { shard: "b" });
      const followed = new Followed();
      const first = await start(engines.of(name));
      await followed.follow(engines.of(name), () => hasWhole(followed, first), { fromStart: true });
      const { cursor } = followed;
      const [kept, deleted] = [await start(engines.of(name)), await start(engines.of(name))];
      for (const id of [kept, deleted]) await wholeTape(engines.of(name), id);
      await move(name, "c");
      await engines.of(name).deleteTask(deleted, null);
      const last = await start(engines.of(name));
      const found = new Set<string>();
      const signal = AbortSignal.timeout(WAIT_MS);
      for await (const { tasks } of engines.of(name).followTasks(followQuery({ cursor, view }), signal)) {
        for (const { taskId } of tasks) found.add(taskId);
        if (found.has(last)) break;
      }
      assert.deepEqual(
        [kept, deleted].map((id) => found.has(id)),
        [true, false],
      );
      await cleanMove(flags(), name, { onNotice() {} });
    });
  }

  it("refuses a cursor of before the move when the old rows are gone, and says how to begin again", async () => {
    const name = await createOn(on, engines, { shard: "b" });
    const followed = new Followed();
    const taskId = await start(engines.of(name));
    await followed.follow(engines.of(name), () => hasWhole(followed, taskId), { fromStart: true });
    await move(name, "c");
    await cleanMove(flags(), name, { onNotice() {} });
    const follower = engines.of(name).followTasks(followQuery({ cursor: followed.cursor }), NEVER);
    await assert.rejects(follower[Symbol.asyncIterator]().next(), /start again with from_start/);
  });

  it("makes the old shard refuse every later write of the namespace, and accept others", async () => {
    const name = await createOn(on, engines, { shard: "b" });
    const db = dbOf("b");
    await closeNamespace(db, name, WAIT_MS);
    await assert.rejects(createTask(db, { namespace: name }), { reason: "STORE_UNAVAILABLE" });
    await createTask(db, { namespace: randomUUID() });
  });

  it("can be taken back while it is not finished, and continued after its process has died", async () => {
    const name = await createOn(on, engines, { shard: "b" });
    const taskId = await start(engines.of(name));
    await wholeTape(engines.of(name), taskId);
    const dies = (step: MoveNotice["step"]) =>
      moveNamespace(flags(), { name, to: "d" }, {
        waitMs: WAIT_MS,
        onNotice(notice) {
          if (notice.step === step) throw new Error("killed");
        },
      }); // prettier-ignore
    await assert.rejects(dies("closing"), /killed/);
    await undoMove(flags(), name, { waitMs: WAIT_MS, onNotice() {} });
    const engine = await served(name, "b");
    assert.equal(outline(await wholeTape(engine, await start(engine))).at(-1), "final");
    assert.equal(await countRows("d", name), 0);
    await assert.rejects(dies("closing"), /killed/);
    await move(name, "d");
    assert.equal(outline(await wholeTape(engines.of(name), taskId)).at(-1), "final");
  });

  it("moves a namespace back to the first shard, and again to the shard it came from", async () => {
    const name = await createOn(on, engines, { shard: HOME_SHARD });
    const taskId = await start(engines.of(name));
    await wholeTape(engines.of(name), taskId);
    for (const to of ["c", HOME_SHARD, "c"]) {
      await move(name, to);
      assert.equal(outline(await wholeTape(engines.of(name), taskId)).at(-1), "final");
      await assert.rejects(moveNamespace(flags(), { name, to: "b" }, { waitMs: 0, onNotice() {} }), /namespace clean/);
      await cleanMove(flags(), name, { onNotice() {} });
    }
  });

  it("is refused to a shard that does not exist, or that the namespace lives on", async () => {
    const name = await createOn(on, engines, { shard: "b" });
    const refused = (to: string) => moveNamespace(flags(), { name, to }, { waitMs: 0, onNotice() {} });
    await assert.rejects(refused("nowhere"), /there is no shard nowhere/);
    await assert.rejects(refused("b"), /lives on b already/);
    await assert.rejects(undoMove(flags(), name, { waitMs: 0, onNotice() {} }), /no move/);
  });
});

function hasWhole({ tapes }: Followed, taskId: string): boolean {
  return tapes.get(taskId)?.at(-1)?.type === "final";
}

const NEVER = new AbortController().signal;
