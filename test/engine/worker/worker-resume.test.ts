import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import { outcomeOf, start, untilEvent, wholeTape } from "../../support/engine-tasks.ts";
import { startEngine } from "../../support/engines.ts";
import { eventually } from "../../support/eventually.ts";
import { outline } from "../../support/new-tasks.ts";
import { beginTask, offerOf, refOf, ScriptedWorker } from "../../support/scripted-worker.ts";
import { openPostgres } from "../../support/stores.ts";
import type { TestStore } from "../../support/stores.ts";

describe("a worker that reconnects after its stream broke", () => {
  let store: TestStore;
  let namespace: string;
  before(async () => {
    store = await openPostgres();
  });
  after(() => store?.[Symbol.asyncDispose]());
  beforeEach(() => {
    namespace = randomUUID();
  });
  const engineOf = (settings = {}) => startEngine(store, { namespace, ...settings });

  for (const where of ["the same", "another"] as const) {
    it(`continues its tasks at ${where} server, and events that it sends again are stored once`, async () => {
      await using first = await engineOf();
      await using second = where === "another" ? await engineOf() : null;
      const { worker, ref, token } = await beginTask(first);
      await worker.append(ref, 1, 2, 3);
      assert.equal((await worker.next("appended")).through, 3n);
      await worker.append(ref, 4, 5);
      await worker.drop();
      const running = [ref];
      await using again = await ScriptedWorker.connect(second ?? first, { resumeToken: token, running });
      const { resumed, sessionId, held } = again.welcome;
      assert.deepEqual([resumed, sessionId], [true, worker.welcome.sessionId]);
      assert.deepEqual([held.length, held[0]!.taskId], [1, ref.taskId]);
      assert.ok(held[0]!.appended >= 3n && held[0]!.appended <= 5n);
      await again.append(ref, 4, 5, 6);
      await again.finish(ref, 7);
      await again.next("finished");
      assert.deepEqual(again.told("assign"), []);
      assert.deepEqual(outline(await wholeTape(first, ref.taskId)), ["started", 1, 2, 3, 4, 5, 6, "final"]);
    });
  }

  it("ends its former stream before the server has found that stream dead", async () => {
    await using engine = await engineOf();
    const { worker, ref, token } = await beginTask(engine);
    await worker.append(ref, 1);
    await using again = await ScriptedWorker.connect(engine, { resumeToken: token, running: [ref] });
    assert.equal((await worker.over()).reason, "SESSION_LOST");
    await worker.append(ref, 2); // Messages that the dead stream still delivers are ignored.
    await again.append(ref, 1, 2, 3);
    await again.finish(ref, 4);
    await again.next("finished");
    assert.deepEqual(outline(await wholeTape(engine, ref.taskId)), ["started", 1, 2, 3, "final"]);
    assert.deepEqual(worker.told("lease_lost"), []);
  });

  it("does not wait for attempts that it had been asked to stop", async () => {
    await using engine = await engineOf({ cancelGraceMs: 20_000, leaseMs: 2_000 });
    const { worker, ref, token } = await beginTask(engine);
    const other = await start(engine, { kind: "remote" });
    await worker.next("assign", 2);
    await engine.cancelTask(ref.taskId, { reason: "enough", by: null });
    await worker.next("stop");
    const dropped = worker.drop();
    const running = [ref, { taskId: other, attempt: 1 }];
    await using again = await ScriptedWorker.connect(engine, { resumeToken: token, running });
    assert.deepEqual([again.welcome.resumed, again.welcome.held.length], [true, 2]);
    await dropped;
    assert.equal((await again.next("stop")).taskId, ref.taskId);
    for (const held of running) await again.finish(held, 1);
    await again.next("finished", 2);
    for (const { taskId } of running) assert.equal((await outcomeOf(engine, taskId)).status, "succeeded");
  });

  it("is notified again, and once, of an end whose confirmation was lost", async () => {
    await using engine = await engineOf();
    const { worker, ref, token } = await beginTask(engine);
    await worker.append(ref, 1);
    await worker.finish(ref, 2);
    await worker.drop();
    await using again = await ScriptedWorker.connect(engine, { resumeToken: token, running: [ref] });
    await again.append(ref, 1);
    await again.finish(ref, 2);
    await again.next("finished");
    assert.equal((await again.next("appended")).through, 1n);
    assert.deepEqual(again.told("lease_lost"), []);
    assert.deepEqual(outline(await wholeTape(engine, ref.taskId)), ["started", 1, "final"]);
  });

  it("is notified of each lost task if its lease has expired, and gets new tasks", async () => {
    await using engine = await engineOf({ leaseMs: 1_000 });
    const { worker, ref, token } = await beginTask(engine, { maxAttempts: 2, retryPolicy: { initialBackoffMs: 1 } });
    await worker.append(ref, 1);
    await worker.next("appended");
    await worker.drop();
    await untilEvent(engine, ref.taskId, "retrying");
    await eventually(async () => assert.equal((await engine.listSessions()).sessions.length, 1));
    await using late = await ScriptedWorker.connect(engine, { resumeToken: token, running: [ref] });
    assert.deepEqual([late.welcome.resumed, late.welcome.held], [false, []]);
    assert.notEqual(late.welcome.sessionId, worker.welcome.sessionId);
    await late.append(ref, 2);
    assert.equal((await late.next("lease_lost")).attempt, 1);
    await late.finish(ref, 3);
    await late.next("lease_lost", 2);
    const next = refOf(await late.next("assign"));
    assert.deepEqual(next, { taskId: ref.taskId, attempt: 2 });
    await late.append(next, 1);
    await late.finish(next, 2);
    await late.next("finished");
    const tape = outline(await wholeTape(engine, ref.taskId));
    assert.deepEqual(tape, ["started", 1, "retrying", "started", 1, "final"]);
  });

  it("resumes its session only with its whole token and in its namespace", async () => {
    await using engine = await engineOf();
    await using stranger = await startEngine(store);
    const { worker, token } = await beginTask(engine);
    await worker.drop();
    const forged = `${worker.welcome.sessionId}.${"A".repeat(43)}`;
    for (const [where, resumeToken] of [
      [engine, forged],
      [engine, "no token"],
      [stranger, token],
    ] as const) {
      await using other = await ScriptedWorker.connect(where, { resumeToken });
      assert.equal(other.welcome.resumed, false);
      assert.notEqual(other.welcome.sessionId, worker.welcome.sessionId);
    }
    const { rows } = await sql<{ row: string }>`select s::text as row from sessions s`.execute(store.db);
    const [, secret] = token.split(".");
    assert.ok(rows.length > 0 && rows.every(({ row }) => !row.includes(secret!)));
  });

  it("keeps its stream when another worker sends the id of its session with a wrong secret", async () => {
    await using engine = await engineOf();
    const { worker, ref } = await beginTask(engine);
    const { sessions } = await engine.listSessions();
    assert.ok(sessions.some(({ sessionId }) => sessionId === worker.welcome.sessionId));
    const resumeToken = `${worker.welcome.sessionId}.${"A".repeat(43)}`;
    await using other = await ScriptedWorker.connect(engine, { resumeToken });
    assert.equal(other.welcome.resumed, false);
    await worker.append(ref, 1);
    await worker.next("appended");
    assert.equal(worker.error, null);
  });

  it("learns nothing about a task of a kind that it does not run", async () => {
    await using engine = await engineOf();
    const { worker, ref } = await beginTask(engine);
    await worker.append(ref, 1);
    await worker.next("appended");
    await using other = await ScriptedWorker.connect(engine, { kinds: [offerOf("another")] });
    for (const guess of [ref, { ...ref, taskId: randomUUID() }]) {
      await other.append(guess, 1);
      await other.finish(guess, 1);
    }
    await other.next("lease_lost", 4);
    assert.deepEqual([other.told("appended"), other.told("finished")], [[], []]);
  });

  it("loses a task that is cancelled while it is disconnected, within the grace period", async () => {
    await using engine = await engineOf({ cancelGraceMs: 50 });
    const { worker, ref } = await beginTask(engine);
    await worker.drop();
    await engine.cancelTask(ref.taskId, { reason: "enough", by: null });
    assert.deepEqual(outline(await wholeTape(engine, ref.taskId)), ["started", "cancel_requested", "final"]);
    assert.equal((await engine.getTask(ref.taskId)).status, "cancelled");
  });

  it("is notified of a cancel that came while it was disconnected", async () => {
    await using engine = await engineOf();
    const { worker, ref, token } = await beginTask(engine);
    await worker.drop();
    await engine.cancelTask(ref.taskId, { reason: "enough", by: null });
    await using again = await ScriptedWorker.connect(engine, { resumeToken: token, running: [ref] });
    assert.equal((await again.next("stop")).because, "cancel");
    await again.finish(ref, 1, { type: "error", failure: { reason: "STOPPED", message: "" }, isFinal: false });
    await again.next("finished");
    assert.equal((await engine.getTask(ref.taskId)).status, "cancelled");
  });
});
