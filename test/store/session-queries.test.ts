import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { listSessions, openSession, renewSession } from "../../src/store/session-queries.ts";
import { createRunning, createTask } from "../support/new-tasks.ts";
import { describeOnEachStore } from "../support/stores.ts";

describeOnEachStore("the list of sessions", (store) => {
  let namespace: string;
  beforeEach(() => {
    namespace = randomUUID();
  });

  async function open(kinds: readonly string[], leaseMs = 60_000): Promise<string> {
    const sessionId = randomUUID();
    const session = { sessionId, namespace, host: "host", pid: 7, kinds, capacity: 3, leaseMs };
    await openSession(store().db, session);
    return sessionId;
  }
  const list = (limit = 10) => listSessions(store().db, { namespace, limit });

  it("has those of the namespace, in the order of their beginning, up to a limit", async () => {
    const opened: string[] = [];
    for (const kinds of [["echo"], [], ["b", "a"]]) opened.push(await open(kinds));
    namespace = randomUUID();
    assert.deepEqual(await list(), []);
    const others = [await open(["other"])];
    assert.deepEqual(
      (await list()).map(({ sessionId, host, pid, kinds, capacity }) => ({ sessionId, host, pid, kinds, capacity })),
      [{ sessionId: others[0], host: "host", pid: 7, kinds: ["other"], capacity: 3 }],
    );
    await open(["second"]);
    assert.deepEqual(
      (await list(1)).map(({ sessionId }) => sessionId),
      others,
    );
    assert.equal(opened.length, 3);
  });

  it("counts what runs under each, and nothing that waits", async () => {
    const [one, other] = [await open(["echo"]), await open(["echo"])];
    for (let count = 0; count < 2; count++) await createRunning(store().db, { namespace, lease: one });
    await createTask(store().db, { namespace });
    assert.deepEqual(
      (await list()).map(({ sessionId, running }) => [sessionId, running]),
      [
        [one, 2],
        [other, 0],
      ],
    );
  });

  it("tells when each was renewed, and until when it counts as alive, also of one that has run out", async () => {
    const sessionId = await open([], 0);
    const [out] = await list();
    assert.ok(out!.expiresAt <= out!.seenAt);
    assert.equal(await renewSession(store().db, { sessionId, leaseMs: 5_000 }), true);
    const [renewed] = await list();
    assert.ok(renewed!.seenAt >= out!.seenAt);
    assert.equal(renewed!.expiresAt.getTime() - renewed!.seenAt.getTime(), 5_000);
    assert.deepEqual(renewed!.startedAt, out!.startedAt);
  });
});
