import assert from "node:assert/strict";
import { connect } from "../../../src/client/client.ts";
import type { SpoolClient } from "../../../src/client/client.ts";
import { followAuditLog } from "../../../src/client/admin/audit-calls.ts";
import type { AuditEvent } from "../../../src/client/admin/audit-calls.ts";
import { openConnection } from "../../../src/client/transport/connection.ts";
import { fromAuditEventMessage } from "../../../src/codec/audit-event.ts";
import { adminOf, callerWith } from "../../support/admin-callers.ts";
import { eventually } from "../../support/eventually.ts";
import { openGuarded } from "../../support/guarded-server.ts";
import type { GuardedServer } from "../../support/guarded-server.ts";
import { Scope } from "../../../src/gen/spool/v1/access_pb.ts";

const TOKEN = "the-token-of-the-settings";

/** Reads the acts that are stored, over gRPC. */
async function actsOver({ address }: { address: string }, token?: string): Promise<AuditEvent[]> {
  const transport = openConnection({ address, token });
  const acts: AuditEvent[] = [];
  try {
    for await (const page of followAuditLog(transport, { retryMs: 0 })) {
      if (page.length === 0) break;
      acts.push(...page);
    }
  } finally {
    transport.close();
  }
  return acts;
}

function summary({ actor, action, target, namespace }: AuditEvent) {
  return { actor, action, target, namespace };
}

describe("the audit log of a server", () => {
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

  const startEnded = async (client: SpoolClient) => {
    const { taskId } = (await client.start({ kind: "echo" })).task;
    await client.waitFinal({ taskId, timeoutMs: 30_000 });
    return taskId;
  };
  const actsOn = async (target: string) =>
    (await actsOver(server, TOKEN)).filter((act) => act.target === target).map(summary);

  it("has the deletes of tasks, once each, with the name of the caller", async () => {
    using caller = await callerWith(server, { root: TOKEN, name: "cleaner", scopes: ["tasks:delete"] });
    const taskId = await startEnded(root);
    await caller.delete({ taskId });
    assert.deepEqual(await caller.delete({ taskId }), { alreadyDeleted: true });
    const act = { actor: "cleaner", action: "task.delete", target: taskId, namespace: "default" };
    assert.deepEqual(await actsOn(taskId), [act]);
    const [line] = server.log.filter(({ msg, target }) => msg === "audit: act recorded" && target === taskId);
    assert.deepEqual([line!["actor"], line!["action"], line!["namespace"]], ["cleaner", "task.delete", "default"]);
  });

  it("has no delete that was refused", async () => {
    const { taskId } = (await root.start({ kind: "echo", runAt: new Date(Date.now() + 3_600_000) })).task;
    await assert.rejects(root.delete({ taskId }), { reason: "TASK_NOT_TERMINAL" });
    assert.deepEqual(await actsOn(taskId), []);
  });

  it("has the creation and the end of tokens, and no token", async () => {
    const admin = adminOf(server, TOKEN);
    const grants = { namespaces: ["team-a"], scopes: [Scope.TASKS_READ] };
    const { token, created } = await admin.createToken({ name: "page", grants });
    await admin.revokeToken({ tokenId: created!.tokenId });
    await admin.revokeToken({ tokenId: created!.tokenId });
    const act = { actor: "root", target: created!.tokenId, namespace: "team-a" };
    assert.deepEqual(await actsOn(created!.tokenId), [
      { ...act, action: "token.create" },
      { ...act, action: "token.revoke" },
    ]);
    const all = JSON.stringify([await actsOver(server, TOKEN), server.log], (_key, value: unknown) =>
      typeof value === "bigint" ? String(value) : value,
    );
    assert.equal(all.includes(token), false);
  });

  it("has changes of the log level", async () => {
    const put = (level: string) =>
      fetch(`${server.url}/log-level`, {
        method: "PUT",
        headers: { authorization: `Bearer ${TOKEN}` },
        body: JSON.stringify({ level }),
      });
    assert.equal((await put("debug")).status, 200);
    assert.equal((await put("loud")).status, 400);
    await eventually(async () => {
      const acts = (await actsOver(server, TOKEN)).filter(({ action }) => action === "log_level.set");
      assert.deepEqual(
        acts.map(({ actor, details }) => ({ actor, details })),
        [{ actor: "root", details: { from: "info", to: "debug" } }],
      );
    });
    assert.equal((await put("info")).status, 200);
  });

  it("is followed over Connect: the stored acts, an empty page, and then new acts", async () => {
    const leaving = new AbortController();
    const taskId = await startEnded(root);
    const seen: string[] = [];
    let isCaughtUp = false;
    const stream = adminOf(server, TOKEN).followAuditLog({ fromId: 0n }, { signal: leaving.signal });
    for await (const { events } of stream) {
      if (events.length === 0 && !isCaughtUp) {
        isCaughtUp = true;
        await root.delete({ taskId });
      }
      seen.push(...events.map((event) => summary(fromAuditEventMessage(event)).target));
      if (seen.includes(taskId)) break;
    }
    assert.ok(isCaughtUp);
    leaving.abort();
  });

  it("is read only by callers with the scope admin, from a position of 0 or more", async () => {
    const { token } = await adminOf(server, TOKEN).createToken({
      name: "reader",
      grants: { namespaces: ["*"], scopes: [Scope.TASKS_READ, Scope.METRICS] },
    });
    await assert.rejects(actsOver(server, token), { reason: "PERMISSION_DENIED" });
    await assert.rejects(actsOver(server), { reason: "UNAUTHENTICATED" });
    const wrong = Array.fromAsync(adminOf(server, TOKEN).followAuditLog({ fromId: -1n }));
    await assert.rejects(wrong, /from_id: must be 0 or more/);
  });
});

describe("the audit log of a server without authentication", () => {
  it("has no deletes, because it knows no names", async () => {
    await using server = await openGuarded({ token: null });
    using client = connect({ address: server.address });
    const { taskId } = (await client.start({ kind: "echo" })).task;
    await client.waitFinal({ taskId, timeoutMs: 30_000 });
    await client.delete({ taskId });
    assert.deepEqual(await actsOver(server), []);
  });
});
