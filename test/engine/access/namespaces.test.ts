import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { NAMESPACES_MAX } from "../../../src/domain/limits.ts";
import { ALL_GRANTS } from "../../../src/domain/principal.ts";
import { namespaceAdmin } from "../../../src/engine/access/namespaces.ts";
import { createEnded, createRunning, createTask } from "../../support/new-tasks.ts";
import { describeHeavyOnEachOwnStore } from "../../support/stores.ts";
import { homeShard } from "../../support/all-engines.ts";
import { LOG } from "../../support/engines.ts";

const ROOT = { ...ALL_GRANTS, name: "root" };

describeHeavyOnEachOwnStore("the administration of namespaces", (store) => {
  beforeEach(async () => {
    for (const table of ["namespaces", "audit_events"] as const) await store().db.deleteFrom(table).execute();
  });

  function admin(names: string[] = []) {
    let refreshed = 0;
    const engines = {
      defaultNamespace: "default",
      shards: { all: [homeShard(store())] },
      namespacesOn: () => names,
      refresh: () => Promise.resolve(void refreshed++),
    };
    return Object.assign(namespaceAdmin({ store: store(), engines, log: LOG }), { refreshed: () => refreshed });
  }

  it("creates a namespace, changes its limits, and records both with their author", async () => {
    const calls = admin();
    const created = await calls.setNamespace(ROOT, { name: "team-a", limits: { streams: 5 } });
    assert.deepEqual([created.name, created.limits, created.createdBy], ["team-a", { streams: 5 }, "root"]);
    const kept = await calls.setNamespace({ ...ROOT, name: "other" }, { name: "team-a", limits: null });
    assert.deepEqual(kept, created);
    const changed = await calls.setNamespace(ROOT, { name: "team-a", limits: { pendingTasks: 9 } });
    assert.deepEqual([changed.limits, changed.createdAt], [{ pendingTasks: 9 }, created.createdAt]);
    assert.equal(calls.refreshed(), 3);
    const acts = await store().db.selectFrom("audit_events").selectAll().orderBy("audit_id").execute();
    assert.deepEqual(
      acts.map(({ actor, action, target, namespace, details }) => ({ actor, action, target, namespace, details })),
      [
        { actor: "root", details: { created: true, limits: { streams: 5 } } },
        { actor: "other", details: { created: false } },
        { actor: "root", details: { created: false, limits: { pendingTasks: 9 } } },
      ].map((act) => ({ ...act, action: "namespace.set", target: "team-a", namespace: "team-a" })),
    );
  });

  it("lists and changes only namespaces that match the caller's patterns", async () => {
    const calls = admin();
    const team = { ...ROOT, name: "team", namespaces: ["team-*"] };
    const denied = { reason: "PERMISSION_DENIED", metadata: { principal: "team", namespace: "ops" } };
    await assert.rejects(calls.setNamespace(team, { name: "ops", limits: null }), denied);
    for (const name of ["team-b", "team-a"]) await calls.setNamespace(team, { name, limits: null });
    const names = async (by: typeof ROOT) => (await calls.listNamespaces(by)).map(({ name }) => name);
    assert.deepEqual(await names(team), ["team-a", "team-b"]);
    assert.deepEqual(await names(ROOT), ["default", "team-a", "team-b"]);
  });

  it("counts the tasks of each namespace that have not ended, and shares out the size of the tables", async () => {
    const { db } = store();
    const [large, small] = [randomUUID(), randomUUID()];
    for (let task = 0; task < 9; task++) await createEnded(db, { namespace: large, agoMs: 1_000 });
    await createTask(db, { namespace: small });
    await createRunning(db, { namespace: small });
    const calls = admin([large, small]);
    for (const name of [large, small]) {
      await db.insertInto("namespaces").values({ name, limits: "{}", created_by: "root" }).execute();
    }
    const states = new Map((await calls.listNamespaces(ROOT)).map((state) => [state.name, state]));
    const [ofLarge, ofSmall] = [states.get(large)!, states.get(small)!];
    const [usedByLarge, usedBySmall] = [ofLarge.usage!, ofSmall.usage!];
    assert.deepEqual([usedByLarge.pendingTasks, usedByLarge.runningTasks], [0, 0]);
    assert.deepEqual([usedBySmall.pendingTasks, usedBySmall.runningTasks], [1, 1]);
    const sizes = [usedByLarge.storedBytes, usedBySmall.storedBytes] as const;
    assert.ok(sizes[0] > sizes[1] && sizes[1] > 0, sizes.join());
  });

  it(`creates at most ${NAMESPACES_MAX} namespaces, and still changes those`, async () => {
    const { db } = store();
    const rows = Array.from({ length: NAMESPACES_MAX }, (_, n) => ({
      name: `n${n}`,
      limits: "{}",
      created_by: "root",
    }));
    await db.insertInto("namespaces").values(rows.slice(1)).execute();
    const calls = admin();
    await calls.setNamespace(ROOT, { name: "n0", limits: null });
    await assert.rejects(calls.setNamespace(ROOT, { name: "one-more", limits: null }), {
      reason: "INVALID_ARGUMENT",
      violations: [{ field: "name", description: "cannot be created: the service has 1,000 namespaces" }],
    });
    await calls.setNamespace(ROOT, { name: "n0", limits: { streams: 1 } });
  });
});
