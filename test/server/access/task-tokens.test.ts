import assert from "node:assert/strict";
import { connect } from "../../../src/client/client.ts";
import type { SpoolClient } from "../../../src/client/client.ts";
import { connect as connectOverWeb } from "../../../src/client/web.ts";
import { callerWith } from "../../support/admin-callers.ts";
import { FOLLOWERS } from "../../support/bearer-callers.ts";
import { openGuarded } from "../../support/guarded-server.ts";
import type { GuardedServer } from "../../support/guarded-server.ts";

const TOKEN = "the-token-of-the-settings";
const HOUR_MS = 3_600_000;

describe("a token for one task", () => {
  let server: GuardedServer;
  let root: SpoolClient;
  before(async () => {
    server = await openGuarded({ token: TOKEN });
    root = connect({ address: server.address, token: TOKEN });
  });
  after(async () => {
    root?.close();
    await server?.[Symbol.asyncDispose]();
  });

  const startEcho = async () => (await root.start({ kind: "echo", params: { count: 1 } })).task.taskId;
  const startWaiting = async () =>
    (await root.start({ kind: "echo", runAt: new Date(Date.now() + HOUR_MS) })).task.taskId;

  for (const [name, follow] of Object.entries(FOLLOWERS)) {
    describe(`over ${name}`, () => {
      it("follows its task to the end", async () => {
        const taskId = await startEcho();
        const { token } = await root.createTaskToken({ taskId });
        const types = await Array.fromAsync(follow(server, { token, taskId }));
        assert.deepEqual([types[0], types.at(-1)], ["started", "final"]);
      });

      it("finds no other task, as if there was none", async () => {
        const { token } = await root.createTaskToken({ taskId: await startEcho() });
        for (const taskId of [await startEcho(), crypto.randomUUID()]) {
          const refused = Array.fromAsync(follow(server, { token, taskId }));
          await assert.rejects(refused, { reason: "TASK_NOT_FOUND" });
        }
      });

      it("ends the stream of a task that still runs when the token expires", async () => {
        const actor = server.stage.actor();
        const { taskId } = (await root.start({ kind: "stage", params: actor.params })).task;
        await actor.enter();
        const types: string[] = [];
        // On a slow machine, a token may expire before its stream is open.
        for (let ttlMs = 1_000; types.length === 0; ttlMs *= 2) {
          const { token, expiresAt } = await root.createTaskToken({ taskId, ttlMs });
          const read = async () => {
            for await (const type of follow(server, { token, taskId })) types.push(type);
          };
          await assert.rejects(read(), { reason: "UNAUTHENTICATED", token: "expired" });
          assert.ok(Date.now() >= expiresAt.getTime());
          const late = Array.fromAsync(follow(server, { token, taskId }));
          await assert.rejects(late, { reason: "UNAUTHENTICATED", token: "expired" });
        }
        assert.deepEqual(types, ["started"]);
        actor.leave();
      });

      it("is refused with any character changed", async () => {
        const taskId = await startEcho();
        const { token } = await root.createTaskToken({ taskId });
        const [head, claims, signature] = token.split(".") as [string, string, string];
        const swap = (text: string, at: number) =>
          text.slice(0, at) + (text[at] === "A" ? "B" : "A") + text.slice(at + 1);
        const changed = [
          [swap(head, 20), claims, signature],
          [head, swap(claims, 9), signature],
          [head, claims, swap(signature, 5)],
          [head, claims, ""],
          [head, claims],
        ];
        for (const parts of changed) {
          const refused = Array.fromAsync(follow(server, { token: parts.join("."), taskId }));
          await assert.rejects(refused, { reason: "UNAUTHENTICATED", token: "wrong" });
        }
      });
    });
  }

  const CLIENTS: Record<string, (token: string) => SpoolClient> = {
    gRPC: (token) => connect({ address: server.address, token }),
    Connect: (token) => connectOverWeb({ url: server.url, token }),
  };
  for (const [name, open] of Object.entries(CLIENTS)) {
    it(`makes only the calls of its scopes on its task, over ${name}`, async () => {
      const taskId = await startWaiting();
      using reader = open((await root.createTaskToken({ taskId })).token);
      assert.equal((await reader.get({ taskId })).taskId, taskId);
      assert.equal((await reader.events({ taskId })).lastSeq, 0n);
      const denied = { code: "PERMISSION_DENIED", reason: "PERMISSION_DENIED" };
      await assert.rejects(reader.cancel({ taskId }), denied);
      await assert.rejects(reader.delete({ taskId }), denied);
      await assert.rejects(reader.start({ kind: "echo" }), denied);
      await assert.rejects(reader.run({ kind: "echo" }), denied);
      await assert.rejects(reader.listPage(), denied);
      await assert.rejects(reader.activity(), denied);
      await assert.rejects(reader.sessions(), denied);
      await assert.rejects(Array.fromAsync(reader.followTasks()), denied);

      using canceller = open((await root.createTaskToken({ taskId, scopes: ["tasks:cancel"] })).token);
      await assert.rejects(canceller.get({ taskId }), denied);
      await assert.rejects(canceller.cancel({ taskId: await startWaiting() }), { reason: "TASK_NOT_FOUND" });
      const { task } = await canceller.cancel({ taskId, reason: "enough" });
      assert.deepEqual([task.status, task.cancelledBy], ["cancelled", "root/task-token"]);
    });

    it(`makes no other token, over ${name}`, async () => {
      const taskId = await startEcho();
      using reader = open((await root.createTaskToken({ taskId })).token);
      await assert.rejects(reader.createTaskToken({ taskId }), { reason: "PERMISSION_DENIED" });
    });
  }

  it("expires with the credential that made it", async () => {
    const expiresAt = new Date(Date.now() + 60_000);
    using caller = await callerWith(server, { root: TOKEN, name: "page", scopes: ["tasks:read"], expiresAt });
    const { expiresAt: ends } = await caller.createTaskToken({ taskId: await startEcho() });
    assert.deepEqual(ends, expiresAt);
  });

  it("is refused for a task that its maker cannot see, and for scopes that the maker lacks", async () => {
    const rights = { name: "search", scopes: ["tasks:read"] as const, labels: { team: "search" } };
    using caller = await callerWith(server, { root: TOKEN, ...rights });
    await assert.rejects(caller.createTaskToken({ taskId: await startEcho() }), { reason: "TASK_NOT_FOUND" });
    const { taskId } = (await root.start({ kind: "echo", labels: rights.labels })).task;
    const denied = { reason: "PERMISSION_DENIED" };
    await assert.rejects(caller.createTaskToken({ taskId, scopes: ["tasks:cancel"] }), denied);
    const { token } = await caller.createTaskToken({ taskId });
    using reader = connect({ address: server.address, token });
    assert.equal((await reader.get({ taskId })).taskId, taskId);
  });
});

describe("several servers of one database", () => {
  it("share the key of tokens for single tasks, also if all of them make it at once", async () => {
    await using first = await openGuarded({ token: TOKEN });
    const { databaseUrl } = first;
    await using second = await openGuarded({ token: TOKEN, databaseUrl });
    using here = connect({ address: first.address, token: TOKEN });
    using there = connect({ address: second.address, token: TOKEN });
    const { taskId } = (await here.start({ kind: "echo" })).task;
    const made = await Promise.all([here, there, here, there].map((client) => client.createTaskToken({ taskId })));
    const keyIds = new Set(made.map(({ token }) => token.split(".")[0]));
    assert.equal(keyIds.size, 1);
    for (const { token } of made) {
      for (const { address } of [first, second]) {
        using reader = connect({ address, token });
        assert.equal((await reader.get({ taskId })).taskId, taskId);
      }
    }
  });
});

describe("a server without authentication", () => {
  it("makes no tokens for single tasks", async () => {
    await using server = await openGuarded({ token: null });
    using client = connect({ address: server.address });
    const { taskId } = (await client.start({ kind: "echo" })).task;
    await assert.rejects(client.createTaskToken({ taskId }), { code: "UNIMPLEMENTED", reason: "UNIMPLEMENTED" });
  });
});
