import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { HOME_SHARD } from "../../../src/domain/shard.ts";
import { ALL_GRANTS } from "../../../src/domain/principal.ts";
import { namespaceAdmin } from "../../../src/engine/access/namespaces.ts";
import { deleteShard, setShardState, writeShard } from "../../../src/store/access/shards.ts";
import type { TestEngines } from "../../support/all-engines.ts";
import { start, wholeTape } from "../../support/engine-tasks.ts";
import { LOG } from "../../support/engines.ts";
import { eventually } from "../../support/eventually.ts";
import { outline } from "../../support/new-tasks.ts";
import { createOn, openShardedDatabases, startShardedEngines } from "../../support/sharded-service.ts";
import type { ShardedDatabases } from "../../support/sharded-service.ts";

const ROOT = { ...ALL_GRANTS, name: "root" };
const UNAVAILABLE = { reason: "NAMESPACE_UNAVAILABLE" };

describe("on four shards, the engines of a server", function () {
  this.timeout(60_000);
  let on: ShardedDatabases;
  let engines: TestEngines;
  before(async () => {
    on = await openShardedDatabases();
    engines = await startShardedEngines(on);
  });
  after(async () => {
    await engines?.[Symbol.asyncDispose]();
    await on?.[Symbol.asyncDispose]();
  });

  const adminOf = (of: TestEngines) => namespaceAdmin({ store: on.home, engines: of, log: LOG });

  it("run each namespace on its shard, and nowhere else", async () => {
    const created = new Map<string, string>();
    for (const shard of on.names) created.set(await createOn(on, engines, { shard }), shard);
    for (const [name, shard] of created) {
      const engine = engines.of(name);
      const taskId = await start(engine);
      assert.equal(outline(await wholeTape(engine, taskId)).at(-1), "final");
      for (const each of engines.shards.all) {
        const { db } = each.parts.store;
        const found = await db.selectFrom("tasks").select("namespace").where("task_id", "=", taskId).execute();
        assert.deepEqual(found, each.name === shard ? [{ namespace: name }] : []);
      }
    }
  });

  it("use the slots of the server together", async () => {
    for (const shard of on.names) await createOn(on, engines, { shard });
    const { budgets } = engines.gauges();
    assert.equal(new Set(budgets).size, 1);
  });

  it("place a new namespace on the open shard with the fewest namespaces", async () => {
    await on.home.db.deleteFrom("namespaces").execute();
    const admin = adminOf(engines);
    const place = async () => (await admin.setNamespace(ROOT, { name: randomUUID(), limits: null })).shard;
    const placed = [await place(), await place(), await place(), await place()];
    assert.deepEqual(placed.toSorted(), [...on.names].toSorted());
    const change = (name: string, state: "open" | "closed") =>
      on.home.db.transaction().execute((trx) => setShardState(trx, { name, state }));
    await change("b", "closed");
    const later = [await place(), await place(), await place()];
    assert.deepEqual(later.toSorted(), ["c", "d", HOME_SHARD]);
    await change("b", "open");
    assert.equal(await place(), "b");
  });

  it("list the use of the namespaces of all shards", async () => {
    const name = await createOn(on, engines, { shard: "d" });
    const taskId = await start(engines.of(name), { runAt: new Date(Date.now() + 60_000) });
    const [listed] = (await adminOf(engines).listNamespaces(ROOT)).filter((each) => each.name === name);
    assert.equal(listed!.shard, "d");
    assert.equal(listed!.usage!.pendingTasks, 1);
    await engines.of(name).cancelTask(taskId, { reason: "", by: null });
  });

  it("open a shard that is added, and close one that is removed", async () => {
    const { db } = on.home;
    const write = (url: string) => db.transaction().execute((trx) => writeShard(trx, { name: "e", url }));
    await write(on.urlOf("d"));
    await eventually(() => assert.ok(engines.shards.get("e")));
    const name = await createOn(on, engines, { shard: "e" });
    const taskId = await start(engines.of(name));
    assert.equal(outline(await wholeTape(engines.of(name), taskId)).at(-1), "final");
    assert.equal(await db.transaction().execute((trx) => deleteShard(trx, "e")), false);
    await db.deleteFrom("namespaces").where("name", "=", name).execute();
    assert.equal(await db.transaction().execute((trx) => deleteShard(trx, "e")), true);
  });

  it("serve the other namespaces while a shard is down, and this one when it is back", async () => {
    const here = await createOn(on, engines, { shard: "b" });
    const there = await createOn(on, engines, { shard: "c" });
    const taskId = await start(engines.of(there), { runAt: new Date(Date.now() + 60_000) });
    await on.otherServer.stopAtOnce();
    try {
      await assert.rejects(engines.of(there).getTask(taskId), { reason: "STORE_UNAVAILABLE" });
      assert.equal(outline(await wholeTape(engines.of(here), await start(engines.of(here)))).at(-1), "final");
      const states = await adminOf(engines).listNamespaces(ROOT);
      assert.equal(states.find(({ name }) => name === there)!.usage, null);
      assert.notEqual(states.find(({ name }) => name === here)!.usage, null);
      const placed = await Promise.all(
        on.names.map(() => adminOf(engines).setNamespace(ROOT, { name: randomUUID(), limits: null })),
      );
      assert.deepEqual([...new Set(placed.map(({ shard }) => shard))].toSorted(), ["b", HOME_SHARD]);
      // A server that starts now serves what it can reach.
      await using late = await startShardedEngines(on);
      assert.throws(() => late.of(there), UNAVAILABLE);
      assert.ok(late.unserved > 0);
      assert.equal(outline(await wholeTape(late.of(here), await start(late.of(here)))).at(-1), "final");
      await on.otherServer.start();
      await eventually(() => late.of(there).getTask(taskId));
      await eventually(() => assert.equal(late.unserved, 0));
    } finally {
      await on.otherServer.start();
    }
    await eventually(() => engines.of(there).cancelTask(taskId, { reason: "", by: null }));
  });

  it("stay on a shard of which only the standby changes, and read its primary while the standby is down", async () => {
    const name = await createOn(on, engines, { shard: "b" });
    const engine = engines.of(name);
    const { standby } = engines.shards.get("b")!.parts.shared;
    const set = (standbyUrl: string | null) =>
      on.home.db.transaction().execute((trx) => writeShard(trx, { name: "b", url: on.urlOf("b"), standbyUrl }));
    for (const standbyUrl of ["postgres://127.0.0.1:1/none", null]) {
      await set(standbyUrl);
      await eventually(() => assert.equal(standby.url, standbyUrl));
      const { tasks } = await engines
        .of(name)
        .listTasks({ limit: 1, beforeTaskId: null, statuses: [], kinds: [], labels: {} });
      assert.deepEqual(tasks, []);
      assert.equal(standby.stats()?.reads.failed, standbyUrl === null ? undefined : 1);
    }
    assert.equal(engines.of(name), engine);
  });

  it("leave a namespace whose place has changed, end its streams, and serve it from the other shard", async () => {
    const name = await createOn(on, engines, { shard: "b" });
    const engine = engines.of(name);
    const taskId = await start(engine, { runAt: new Date(Date.now() + 60_000) });
    const ended = assert.rejects(wholeTape(engine, taskId), UNAVAILABLE);
    await on.home.db.updateTable("namespaces").set({ shard: HOME_SHARD }).where("name", "=", name).execute();
    await ended;
    await eventually(() => assert.notEqual(engines.of(name), engine));
    await assert.rejects(engines.of(name).getTask(taskId), { reason: "TASK_NOT_FOUND" });
    const other = await start(engines.of(name));
    assert.equal(outline(await wholeTape(engines.of(name), other)).at(-1), "final");
  });
});
