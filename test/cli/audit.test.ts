import assert from "node:assert/strict";
import { connect } from "../../src/client/client.ts";
import { openGuarded } from "../support/guarded-server.ts";
import type { GuardedServer } from "../support/guarded-server.ts";
import { runSpool, spawnSpool } from "./spool-process.ts";

const TOKEN = "the-token-of-the-settings";

describe("spool audit", () => {
  let server: GuardedServer;
  before(async () => {
    server = await openGuarded({ token: TOKEN });
  });
  after(() => server?.[Symbol.asyncDispose]());

  const options = () => ({ environment: { SPOOL_ADDRESS: server.address, SPOOL_TOKEN: TOKEN } });
  const deleteTask = async () => {
    using root = connect({ address: server.address, token: TOKEN });
    const { taskId } = (await root.start({ kind: "echo" })).task;
    await root.waitFinal({ taskId, timeoutMs: 30_000 });
    await root.delete({ taskId });
    return taskId;
  };

  it("prints nothing while there are no acts, and then a table or JSON", async () => {
    assert.deepEqual(await runSpool(["audit"], options()), { code: 0, stdout: "", stderr: "" });
    const taskId = await deleteTask();
    const { code, stdout } = await runSpool(["audit"], options());
    assert.equal(code, 0);
    const [heading, line, ...rest] = stdout.trimEnd().split("\n");
    assert.match(heading!, /^TIME +ACTOR +ACTION +NAMESPACE +TARGET +DETAILS$/);
    const fields = line!.split(/ {2,}/);
    assert.deepEqual(fields.slice(1, 5), ["root", "task.delete", "default", taskId]);
    assert.deepEqual(JSON.parse(fields[5]!), { kind: "echo", status: "succeeded" });
    assert.deepEqual(rest, []);
    const json = await runSpool(["audit", "--json"], options());
    const { audit_id, time, ...act } = JSON.parse(json.stdout) as Record<string, unknown>;
    assert.equal(typeof audit_id, "number");
    assert.equal(time, fields[0]);
    const details = { kind: "echo", status: "succeeded" };
    assert.deepEqual(act, { actor: "root", action: "task.delete", target: taskId, namespace: "default", details });
  });

  it("follows further acts until Ctrl-C, and exits with 3", async () => {
    const following = spawnSpool(["audit", "--follow"], options());
    await following.waitForOutput("TIME");
    const taskId = await deleteTask();
    await following.waitForOutput(taskId);
    following.child.kill("SIGINT");
    assert.equal((await following.ended).code, 3);
  });
});
