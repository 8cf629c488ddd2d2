import assert from "node:assert/strict";
import { hostname } from "node:os";
import type { Door } from "./door.ts";

/** What every door tells of those who run the tasks. */
export function sessionContract(door: () => Door): void {
  it("says who runs what, how much of it, and how lately it said that it lives", async () => {
    const { sessions, hasMore } = await door().sessions();
    assert.equal(hasMore, false);
    assert.equal(sessions.length, 1);
    const [{ sessionId, kinds, startedAt, seenAt, expiresAt, ...session }] = sessions as [(typeof sessions)[number]];
    assert.match(sessionId, /^[0-9a-f-]{36}$/);
    assert.deepEqual(session, { host: hostname(), pid: process.pid, capacity: 64, running: 0, isWorker: false });
    assert.ok(kinds.includes("echo") && kinds.includes("stage"));
    assert.ok(startedAt <= seenAt && seenAt < expiresAt);
  });

  it("counts what runs under each", async () => {
    const actor = door().stage.actor();
    const { task } = await door().start({ kind: "stage", params: actor.params });
    await actor.enter();
    assert.equal((await door().sessions()).sessions[0]?.running, 1);
    actor.leave();
    await door().result({ taskId: task.taskId, waitMs: 60_000 });
    assert.equal((await door().sessions()).sessions[0]?.running, 0);
  });
}
