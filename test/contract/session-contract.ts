import assert from "node:assert/strict";
import { hostname } from "node:os";
import type { Endpoint } from "./endpoint.ts";

/** What every endpoint reports about servers and workers. */
export function sessionContract(endpoint: () => Endpoint): void {
  it("a session lists its host, process, kinds, slots, and the time of its last renewal", async () => {
    const { sessions, hasMore } = await endpoint().sessions();
    assert.equal(hasMore, false);
    assert.equal(sessions.length, 1);
    const [{ sessionId, kinds, startedAt, seenAt, expiresAt, ...session }] = sessions as [(typeof sessions)[number]];
    assert.match(sessionId, /^[0-9a-f-]{36}$/);
    assert.deepEqual(session, { host: hostname(), pid: process.pid, capacity: 64, running: 0, isWorker: false });
    assert.ok(kinds.includes("echo") && kinds.includes("stage"));
    assert.ok(startedAt <= seenAt && seenAt < expiresAt);
  });

  it("a session counts its running tasks", async () => {
    const actor = endpoint().stage.actor();
    const { task } = await endpoint().start({ kind: "stage", params: actor.params });
    await actor.enter();
    assert.equal((await endpoint().sessions()).sessions[0]?.running, 1);
    actor.leave();
    await endpoint().result({ taskId: task.taskId, waitMs: 60_000 });
    assert.equal((await endpoint().sessions()).sessions[0]?.running, 0);
  });
}
