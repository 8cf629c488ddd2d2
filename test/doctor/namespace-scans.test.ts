import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import type { Finding } from "../../src/doctor/check.ts";
import { ok, skipped } from "../../src/doctor/check.ts";
import { DoctorContext } from "../../src/doctor/doctor-context.ts";
import { HOME_SHARD } from "../../src/domain/shard.ts";
import { checkedNamespaces, scanNamespaces } from "../../src/doctor/namespace-scans.ts";
import { openSession } from "../../src/store/session-queries.ts";
import { countRunningElsewhere } from "../../src/store/reports/shared-slots.ts";
import { FOREVER } from "../support/engines.ts";
import { newSession } from "../support/new-sessions.ts";
import { createRunning } from "../support/new-tasks.ts";
import { describeOnEachOwnStore } from "../support/stores.ts";

const FAILED = { status: "fail", found: "broken", todo: "repair it", section: "Start" } as const;

describeOnEachOwnStore("the scans of several namespaces", (store) => {
  const contextOf = (namespace: string) => {
    const settings = { namespace, leaseMs: 10_000, cancelGraceMs: 5_000, notify: true, ...FOREVER };
    const { signal } = new AbortController();
    return new DoctorContext({ settings, db: store().db, url: store().url, signal });
  };
  const scanned = (found: Record<string, Finding>) =>
    scanNamespaces(Object.keys(found).map(contextOf), ({ namespace }) => Promise.resolve(found[namespace]!));

  it("include the namespace of the settings, and those that servers have had time to join", async () => {
    const [own, old, fresh] = [randomUUID(), randomUUID(), randomUUID()];
    const row = { limits: "{}", created_by: "root" };
    const created_at = new Date(Date.now() - 60_000);
    await store()
      .db.insertInto("namespaces")
      .values([
        { name: own, created_at, ...row },
        { name: old, created_at, ...row },
        { name: fresh, ...row },
      ]) // prettier-ignore
      .execute();
    assert.deepEqual(await checkedOn(HOME_SHARD, own), [own, old]);
  });

  it("include only the namespaces of the shard", async () => {
    const { db } = store();
    const [own, here, there] = [randomUUID(), randomUUID(), randomUUID()];
    const row = { limits: "{}", created_by: "root", created_at: new Date(Date.now() - 60_000) };
    await db.deleteFrom("namespaces").execute();
    const rows = [
      { name: here, ...row },
      { name: there, ...row, shard: "b" },
    ];
    await db.insertInto("namespaces").values(rows).execute();
    assert.deepEqual(await checkedOn(HOME_SHARD, own), [own, here]);
    assert.deepEqual(await checkedOn("b", own), [there]);
    assert.deepEqual(await checkedOn("b", there), [there]);
  });

  const checkedOn = async (shard: string, own: string) =>
    (await checkedNamespaces(contextOf(own), { name: shard, directory: contextOf(own) })).map(
      ({ namespace }) => namespace,
    );

  it("give the finding of a single namespace as it is", async () => {
    assert.deepEqual(await scanned({ one: FAILED }), FAILED);
  });

  it("give the worst status, and name the namespaces that have it", async () => {
    assert.deepEqual(await scanned({ one: ok("fine"), two: ok("well"), three: skipped("off") }), {
      status: "ok",
      found: "one: fine (and 1 more namespaces)",
    });
    assert.deepEqual(await scanned({ one: skipped("off"), two: skipped("off") }), skipped("off"));
    assert.deepEqual(await scanned({ one: ok("fine"), two: FAILED }), { ...FAILED, found: "two: broken" });
    const many = Object.fromEntries(["a", "b", "c", "d", "e"].map((name) => [name, FAILED]));
    assert.equal((await scanned(many)).found, "a: broken; b: broken; c: broken; and 2 more namespaces");
  });

  it("count the slots that a server uses in its other namespaces", async () => {
    const { db } = store();
    const [one, other] = [randomUUID(), randomUUID()];
    const server = { host: randomUUID(), pid: 7, capacity: 4 };
    const [here, there] = [newSession({ ...server, namespace: one }), newSession({ ...server, namespace: other })];
    const stranger = newSession({ ...server, pid: 8, namespace: other });
    for (const session of [here, there, stranger]) await openSession(db, session);
    for (const lease of [there.sessionId, there.sessionId, stranger.sessionId]) {
      await createRunning(db, { namespace: other, lease });
    }
    await createRunning(db, { namespace: one, lease: here.sessionId });
    assert.deepEqual(await countRunningElsewhere(db, one), new Map([[here.sessionId, 2]]));
  });
});
