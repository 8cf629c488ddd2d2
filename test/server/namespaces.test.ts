import assert from "node:assert/strict";
import { connect, worker } from "../../src/client/client.ts";
import { connect as connectWeb } from "../../src/client/web.ts";
import { defineKind } from "../../src/kinds/define-kind.ts";
import * as v from "valibot";
import { runSpool } from "../cli/spool-process.ts";
import { createDatabase } from "../support/postgres.ts";
import type { TestDatabase } from "../support/postgres.ts";
import { startServerProcess } from "../support/server-process.ts";
import type { ServerProcess } from "../support/server-process.ts";

const SERVERS_MS = 120_000;

describe("a server of two namespaces", function () {
  this.timeout(SERVERS_MS);
  let database: TestDatabase;
  let server: ServerProcess;
  before(async () => {
    database = await createDatabase();
    server = await startServerProcess({ environment: { SPOOL_DATABASE_URL: database.url } });
    const created = await spool("namespace", "set", "team-a", "--starts-per-second", "500", "--json");
    assert.deepEqual(JSON.parse(created).limits, { starts_per_second: 500 });
  });
  after(async () => {
    await server?.[Symbol.asyncDispose]();
    await database?.[Symbol.asyncDispose]();
  });

  async function spool(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await runSpool([...args, "--address", server.address]);
    assert.equal(code, 0, stderr);
    return stdout;
  }

  it("serves each at all endpoints, as the caller chooses", async () => {
    for (const open of [
      (namespace: string | undefined) => connect({ address: server.address, namespace }),
      (namespace: string | undefined) => connectWeb({ url: server.url, namespace }),
    ]) {
      using ofTeam = open("team-a");
      using ofServer = open(undefined);
      const { task } = await ofTeam.start({ kind: "echo" });
      assert.equal((await ofTeam.waitFinal({ taskId: task.taskId, timeoutMs: 30_000 })).status, "succeeded");
      const hidden = { reason: "TASK_NOT_FOUND" };
      await assert.rejects(ofServer.get({ taskId: task.taskId }), hidden);
      using ofOthers = open("team-b");
      await assert.rejects(ofOthers.get({ taskId: task.taskId }), { reason: "NAMESPACE_NOT_FOUND" });
      const path = `${server.url}/v1/tasks/${task.taskId}/events`;
      assert.match(await (await fetch(`${path}?namespace=team-a`)).text(), /event: final\n/);
      assert.equal((await fetch(path)).status, 404);
      const headers = { "spool-namespace": "team-a" };
      assert.equal((await fetch(path, { headers })).status, 200);
      const refused = await fetch(`${path}?namespace=a%20b`);
      assert.match(await refused.text(), /must be 1 to 63 characters of \[A-Za-z0-9._-\]/);
    }
  });

  it("assigns a worker the tasks of its namespace", async () => {
    const whose = defineKind({
      name: "whose",
      params: v.strictObject({}),
      run: () => Promise.resolve({ by: "team-a" }),
    });
    await using running = worker({ address: server.address, namespace: "team-a", kinds: [whose], signals: false });
    using ofTeam = connect({ address: server.address, namespace: "team-a" });
    const { task } = await ofTeam.start({ kind: "whose" });
    assert.deepEqual((await ofTeam.waitFinal({ taskId: task.taskId, timeoutMs: 30_000 })).result, { by: "team-a" });
    assert.ok(running.stopped);
  });

  it("gets the namespace of the command line by flag, variable and context, and lists what each uses", async () => {
    const { task_id: taskId } = JSON.parse(await spool("start", "echo", "--json", "--namespace", "team-a"));
    const environment = { SPOOL_CALL_NAMESPACE: "team-a" };
    const { code, stdout } = await runSpool(["get", taskId, "--address", server.address], { environment });
    assert.deepEqual([code, stdout.includes(taskId)], [0, true]);
    assert.equal((await runSpool(["get", taskId, "--address", server.address])).code, 1);
    const lines = (await spool("namespace", "list", "--json")).trim().split("\n");
    const [own, team] = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.deepEqual([own!["name"], own!["created_at"], own!["created_by"]], ["default", null, null]);
    assert.deepEqual([team!["name"], team!["created_by"]], ["team-a", "anonymous"]);
    assert.deepEqual([typeof team!["pending_tasks"], typeof team!["stored_bytes"]], ["number", "number"]);
    assert.match(
      await spool("namespace", "list"),
      /^NAMESPACE .*\ndefault .* no limits\nteam-a .* starts-per-second 500\n$/,
    );
    assert.match(await spool("namespace", "set", "team-a", "--no-limits"), /^namespace team-a: no limits\n$/);
  });

  it("refuses names and limits out of their bounds before anything is stored", async () => {
    for (const [args, message] of [
      [["team a"], /name: must be 1 to 63 characters/],
      [["x".repeat(64)], /name: must be 1 to 63 characters/],
      [["team-c", "--streams", "0"], /--streams.*must be 1 to 1,000,000/],
      [["team-c", "--streams", "1.5"], /--streams.*must be 1 to 1,000,000/],
    ] as const) {
      const { code, stderr } = await runSpool(["namespace", "set", ...args, "--address", server.address]);
      assert.ok(code !== 0);
      assert.match(stderr, message);
    }
    assert.ok(!(await spool("namespace", "list")).includes("team-c"));
  });
});
