import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import { fromLimitsMessage } from "../../../src/codec/limits.ts";
import { connect } from "../../../src/client/client.ts";
import { Scope } from "../../../src/gen/spool/v1/access_pb.ts";
import { adminOf, callerWith } from "../../support/admin-callers.ts";
import { openGuarded } from "../../support/guarded-server.ts";
import type { GuardedServer } from "../../support/guarded-server.ts";

const TOKEN = "the-token-of-the-settings";

describe("a token with limits", () => {
  let server: GuardedServer;
  before(async () => {
    server = await openGuarded({ token: TOKEN });
  });
  after(() => server?.[Symbol.asyncDispose]());

  it("starts no more tasks than its limit, while other callers start theirs", async () => {
    const scopes = ["tasks:start"] as const;
    const limits = { startsPerSecond: 0.001 };
    using limited = await callerWith(server, { root: TOKEN, name: "limited", scopes, limits });
    using root = connect({ address: server.address, token: TOKEN });
    await limited.start({ kind: "echo" });
    const refused = {
      reason: "LIMIT_EXCEEDED",
      metadata: { limit: "starts_per_second", max: "0.001", of: "principal" },
    };
    await assert.rejects(limited.start({ kind: "echo" }), refused);
    await root.start({ kind: "echo" });
  });

  it("has no more waiting tasks than its limit, and no larger params", async () => {
    const scopes = ["tasks:start"] as const;
    const limits = { pendingTasks: 1, paramsBytes: 10 };
    using limited = await callerWith(server, { root: TOKEN, name: "queueing", scopes, limits, retryMs: 0 });
    using root = connect({ address: server.address, token: TOKEN });
    const runAt = new Date(Date.now() + 60_000);
    await limited.start({ kind: "echo", runAt });
    const refusal = (limit: string, max: string) => ({
      reason: "LIMIT_EXCEEDED",
      metadata: { limit, max, of: "principal" },
    });
    await assert.rejects(limited.start({ kind: "echo", runAt }), refusal("pending_tasks", "1"));
    await assert.rejects(limited.start({ kind: "echo", params: { count: 0 } }), refusal("params_bytes", "10"));
    await limited.start({ kind: "echo" }); // It does not wait.
    await root.start({ kind: "echo", runAt });
  });

  it("has no more streams than its limit, until one ends", async () => {
    const scopes = ["tasks:start", "tasks:read"] as const;
    using limited = await callerWith(server, { root: TOKEN, name: "reader", scopes, limits: { streams: 1 } });
    const actor = server.stage.actor();
    const { taskId } = (await limited.start({ kind: "stage", params: actor.params })).task;
    const open = limited.follow({ taskId })[Symbol.asyncIterator]();
    await open.next();
    const second = limited.follow({ taskId })[Symbol.asyncIterator]();
    const refused = { reason: "LIMIT_EXCEEDED", metadata: { limit: "streams", max: "1", of: "principal" } };
    await assert.rejects(second.next(), refused);
    actor.leave();
    while ((await open.next()).done !== true);
    assert.equal((await Array.fromAsync(limited.follow({ taskId }))).at(-1)?.type, "final");
  });

  it("creates tokens with its own limits or lower ones", async () => {
    const grants = { namespaces: ["*"], scopes: [Scope.ADMIN, Scope.TASKS_START] };
    const limited = { name: "limited-admin", grants, limits: { streams: 5, startsPerSecond: 0.001 } };
    const { token: ofAdmin } = await adminOf(server, TOKEN).createToken(limited);
    const create = (limits: { streams?: number; startsPerSecond?: number }) =>
      adminOf(server, ofAdmin).createToken({ name: "made", grants, limits });
    await assert.rejects(create({ streams: 6 }), (error) => {
      assert.ok(error instanceof ConnectError);
      assert.equal(error.code, Code.PermissionDenied);
      assert.match(error.message, /cannot give the limit streams 6: its own is 5/);
      return true;
    });
    const { token, created } = await create({ streams: 4 });
    assert.deepEqual(fromLimitsMessage(created?.limits), { streams: 4, startsPerSecond: 0.001 });
    using made = connect({ address: server.address, token });
    await made.start({ kind: "echo" });
    await assert.rejects(made.start({ kind: "echo" }), { reason: "LIMIT_EXCEEDED" });
  });
});
