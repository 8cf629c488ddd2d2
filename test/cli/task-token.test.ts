import assert from "node:assert/strict";
import { connect } from "../../src/client/client.ts";
import { openGuarded } from "../support/guarded-server.ts";
import type { GuardedServer } from "../support/guarded-server.ts";
import { runSpool } from "./spool-process.ts";

const TOKEN = "the-token-of-the-settings";

describe("spool task-token", () => {
  let server: GuardedServer;
  before(async () => {
    server = await openGuarded({ token: TOKEN });
  });
  after(() => server?.[Symbol.asyncDispose]());

  const spool = (...words: string[]) =>
    runSpool(words, { environment: { SPOOL_ADDRESS: server.address, SPOOL_TOKEN: TOKEN } });

  it("prints a token that reads the task, and says when the token expires", async () => {
    using root = connect({ address: server.address, token: TOKEN });
    const { taskId } = (await root.start({ kind: "echo" })).task;
    const { code, stdout, stderr } = await spool("task-token", taskId);
    assert.equal(code, 0);
    assert.match(stderr, new RegExp(`^for task ${taskId}, expires \\d{4}-.*Z\\n$`));
    using reader = connect({ address: server.address, token: stdout.trimEnd() });
    assert.equal((await reader.get({ taskId })).taskId, taskId);
    await assert.rejects(reader.cancel({ taskId }), { reason: "PERMISSION_DENIED" });
  });

  it("takes scopes and a duration, and prints JSON", async () => {
    using root = connect({ address: server.address, token: TOKEN });
    const { taskId } = (await root.start({ kind: "echo", runAt: new Date(Date.now() + 3_600_000) })).task;
    const scopes = ["--scope", "tasks:read", "--scope", "tasks:cancel"];
    const { stdout } = await spool("task-token", taskId, ...scopes, "--ttl", "7d", "--json");
    const { token, expires_at, ...rest } = JSON.parse(stdout) as Record<string, string>;
    assert.deepEqual(rest, { task_id: taskId });
    assert.ok(new Date(expires_at!).getTime() > Date.now() + 6 * 24 * 3_600_000);
    using canceller = connect({ address: server.address, token });
    assert.equal((await canceller.cancel({ taskId })).outcome, "cancelled");
  });

  it("refuses other scopes, and exits with 2", async () => {
    const { code, stderr } = await spool("task-token", crypto.randomUUID(), "--scope", "admin");
    assert.equal(code, 2);
    assert.match(stderr, /--scope <task-scope>.*The scopes are tasks:read, tasks:cancel\./);
  });
});
