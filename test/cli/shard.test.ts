import assert from "node:assert/strict";
import { openDatabase } from "../../src/store/database.ts";
import { migrate } from "../../src/store/migrate.ts";
import { openSession } from "../../src/store/session-queries.ts";
import { newSession } from "../support/new-sessions.ts";
import { createDatabase } from "../support/postgres.ts";
import type { TestDatabase } from "../support/postgres.ts";
import { startServerProcess } from "../support/server-process.ts";
import type { ServerProcess } from "../support/server-process.ts";
import { runSpool } from "./spool-process.ts";

describe("spool shard, and spool namespace move", function () {
  this.timeout(60_000);
  let database: TestDatabase;
  let server: ServerProcess;
  before(async () => {
    database = await createDatabase();
    const home = await openDatabase({ url: database.url });
    await migrate(home.db);
    await home.close();
    server = await startServerProcess({ environment: { SPOOL_DATABASE_URL: database.url } });
  });
  after(async () => {
    await server?.[Symbol.asyncDispose]();
    await database?.[Symbol.asyncDispose]();
  });

  const urlOf = (schema: string) => `${database.url}?schema=${schema}`;
  const run = (args: readonly string[], environment: Record<string, string> = {}) =>
    runSpool(args, {
      environment: { SPOOL_ADDRESS: server.address, SPOOL_DATABASE_URL: database.url, ...environment },
    });

  it("add, list, close, open and remove shards", async () => {
    const added = await run(["shard", "add", "b"], { SPOOL_SHARD_URL: urlOf("b") });
    assert.match(added.stdout, /^shard b: 127\.0\.0\.1:\d+\/spool_test_\w+, schema b\n$/, added.stderr);
    assert.equal((await run(["shard", "close", "b"])).stdout, "shard b: closed\n");
    const listed = await run(["shard", "list"]);
    assert.match(
      listed.stdout,
      /^SHARD +STATE +NAMESPACES +DATABASE\nhome +open +0 +the database of the settings\nb +closed +0 +/,
      listed.stderr,
    );
    const replicated = await run(["shard", "add", "b", "--url", urlOf("b"), "--standby-url", "postgres://u:pw@s/d"]);
    assert.match(replicated.stdout, /^shard b: .*, schema b, standby s\/d\n$/, replicated.stderr);
    assert.equal((await run(["shard", "open", "b"])).stdout, "shard b: open\n");
    assert.equal((await run(["shard", "remove", "b"])).stdout, "shard b: removed\n");
    assert.doesNotMatch((await run(["shard", "list"])).stdout, /^b /m);
  });

  it("refuse what cannot be a shard, and say why", async () => {
    const add = (name: string, url: string) => run(["shard", "add", name, "--url", url]);
    for (const [name, url, reason] of [
      ["home", urlOf("x"), /home is the first shard/],
      ["b c", urlOf("x"), /must be 1 to 63 of/],
      ["b", database.url, /the first shard of the service/],
      ["b", "postgres://host/db?schema=1", /schema: must be 1 to 63/],
    ] as const) {
      const { stderr, code } = await add(name, url);
      assert.match(stderr, reason);
      assert.notEqual(code, 0);
    }
    const missing = await run(["shard", "add", "b"]);
    assert.deepEqual([missing.code, /SPOOL_SHARD_URL/.test(missing.stderr)], [2, true]);
    const embedded = await run(["shard", "list"], { SPOOL_DATABASE_URL: "" });
    assert.match(embedded.stderr, /SPOOL_DATABASE_URL: must be set/);
    assert.match((await run(["shard", "remove", "nowhere"])).stderr, /there is no shard nowhere/);
  });

  it("refuse a shard while a server of an earlier version runs", async () => {
    const home = await openDatabase({ url: database.url });
    const session = newSession({ namespace: "default" });
    await openSession(home.db, session);
    const ofSession = home.db.updateTable("sessions").where("session_id", "=", session.sessionId);
    await ofSession.set({ knows_shards: false }).execute();
    const { stderr } = await run(["shard", "add", "d", "--url", urlOf("d")]);
    assert.match(stderr, /1 servers of an earlier version run/);
    await home.db.deleteFrom("sessions").where("session_id", "=", session.sessionId).execute();
    await home.close();
  });

  it("move a namespace while a server runs, and clean up", async () => {
    await run(["shard", "add", "c", "--url", urlOf("c")]);
    await run(["namespace", "set", "team"]);
    const { stdout: before } = await run(["namespace", "list", "--json"]);
    const { shard } = JSON.parse(before.split("\n").find((line) => line.includes(`"team"`))!) as { shard: string };
    const to = shard === "c" ? "home" : "c";
    const started = await run(["start", "echo", "--wait", "--namespace", "team", "--json"]);
    assert.equal(started.code, 0, started.stderr);
    const moved = await run(["namespace", "move", "team", "--to", to]);
    assert.equal(moved.stdout, "namespace team: moved\n", moved.stderr);
    assert.match(moved.stderr, /team: copying, 1 tasks with \d+ events so far/);
    assert.match((await run(["namespace", "list"])).stdout, new RegExp(`^team .* ${to} `, "m"));
    const again = await run(["start", "echo", "--wait", "--namespace", "team"]);
    assert.equal(again.code, 0, again.stderr);
    assert.match((await run(["list", "--namespace", "team"])).stdout, /succeeded[\s\S]*succeeded/);
    const refused = await run(["namespace", "move", "team", "--to", shard]);
    assert.match(refused.stderr, /run spool namespace clean team first/);
    assert.equal((await run(["namespace", "clean", "team"])).stdout, "namespace team: cleaned\n");
    const acts = (await run(["audit", "--json"])).stdout;
    for (const action of ["shard.add", "namespace.move", "namespace.moved", "namespace.cleaned"]) {
      assert.match(acts, new RegExp(`"action":"${action}"`));
    }
    assert.match((await run(["namespace", "move", "team"])).stderr, /--to, --undo: give one of them/);
  });
});
