import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "kysely";
import { connect, SpoolRpcError } from "../../src/client/client.ts";
import type { SpoolClient, SpoolEvent } from "../../src/client/client.ts";
import { openDatabase } from "../../src/store/database.ts";
import { SCHEMA_VERSION } from "../../src/store/migrate.ts";
import { eventually } from "../support/eventually.ts";
import { createDatabase, startServer } from "../support/postgres.ts";
import { startServerProcess } from "../support/server-process.ts";

const SERVER_MS = 60_000;
const LONG = { kind: "echo", params: { count: 1_000, delay_ms: 100 } };

describe("spool serve", () => {
  let dataDir: string;
  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), "spool-serve-"));
  });
  afterEach(() => rm(dataDir, { recursive: true, force: true }));

  it("keeps tasks, tapes and results after kill -9 and ends the running tasks", async () => {
    const environment = { SPOOL_DATA_DIR: dataDir };
    const first = await startServerProcess({ environment });
    const before = connect({ address: first.address });
    const { task: done } = await before.start({ kind: "echo", params: { count: 3 } });
    await before.waitFinal({ taskId: done.taskId, timeoutMs: 30_000 });
    const tape = await Array.fromAsync(before.follow({ taskId: done.taskId }));
    const { task: cut } = await before.start(LONG);
    const seen = await readUntil(before, cut.taskId, 3);
    await first.end("SIGKILL");
    before.close();

    await using second = await startServerProcess({ environment });
    using after = connect({ address: second.address });
    assert.equal((await after.get({ taskId: done.taskId })).status, "succeeded");
    assert.deepEqual(await Array.fromAsync(after.follow({ taskId: done.taskId })), tape);
    assert.deepEqual((await after.result({ taskId: done.taskId })).result, { echoed: 3 });
    const final = await after.waitFinal({ taskId: cut.taskId, timeoutMs: 30_000 });
    assert.deepEqual([final.status, final.error?.reason], ["failed", "WORKER_LOST"]);
    const events = await Array.fromAsync(after.follow({ taskId: cut.taskId }));
    assert.deepEqual(events.slice(0, seen.length), seen);
    assert.deepEqual(
      events.map(({ seq }) => seq),
      events.map((_, index) => BigInt(index + 1)),
    );
  }).timeout(SERVER_MS);

  it("refuses a data folder that another server uses @slow", async () => {
    const environment = { SPOOL_DATA_DIR: dataDir };
    await using _ = await startServerProcess({ environment });
    await assert.rejects(startServerProcess({ environment }), /open in another process/);
  }).timeout(SERVER_MS);

  it("names the address and the setting if the gRPC port is in use @slow", async () => {
    const taker = createServer().listen(0, "127.0.0.1");
    await once(taker, "listening");
    const { port } = taker.address() as AddressInfo;
    const environment = { SPOOL_DATA_DIR: dataDir, SPOOL_PORT: `${port}` };
    const told = `ended with 1:[^]*EADDRINUSE: gRPC address 127\\.0\\.0\\.1:${port} .*set SPOOL_PORT to another port`;
    await assert.rejects(startServerProcess({ environment }), new RegExp(told));
    taker.close();
  }).timeout(SERVER_MS);

  it("answers UNAVAILABLE with a hint while the database is down, and recovers by itself", async () => {
    await using postgres = await startServer();
    await postgres.stop();
    await using server = await startServerProcess({ environment: { SPOOL_DATABASE_URL: postgres.url } });
    using client = connect({ address: server.address, retryMs: 0 });
    const error = await client.start({ kind: "echo" }).catch((reason: unknown) => reason);
    assert.ok(error instanceof SpoolRpcError);
    assert.deepEqual([error.code, error.reason], ["UNAVAILABLE", "STORE_UNAVAILABLE"]);
    assert.ok(error.retryAfterMs! > 0);
    await postgres.start();
    const { task } = await eventually(() => client.start({ kind: "echo" }));
    assert.equal((await client.waitFinal({ taskId: task.taskId, timeoutMs: 30_000 })).status, "succeeded");
  }).timeout(SERVER_MS);

  it("continues after a kill of the database without lost or duplicate events", async () => {
    await using postgres = await startServer();
    await using server = await startServerProcess({ environment: { SPOOL_DATABASE_URL: postgres.url } });
    using client = connect({ address: server.address });
    const { task } = await client.start({ kind: "echo", params: { count: 200, delay_ms: 5 } });
    const seen = await readUntil(client, task.taskId, 20);
    await postgres.kill();
    await postgres.start();
    const rest = await Array.fromAsync(client.follow({ taskId: task.taskId, fromSeq: BigInt(seen.length + 1) }));
    const steps = [...seen, ...rest].flatMap((event) => (event.type === "progress" ? [event.current] : []));
    assert.deepEqual(
      steps,
      Array.from({ length: 200 }, (_, index) => index + 1),
    );
    assert.equal(rest.at(-1)!.type, "final");
    assert.deepEqual(await Array.fromAsync(client.follow({ taskId: task.taskId })), [...seen, ...rest]);
  }).timeout(SERVER_MS);

  it("refuses a database with a newer schema and names both versions @slow", async () => {
    await using database = await createDatabase();
    const environment = { SPOOL_DATABASE_URL: database.url };
    await (await startServerProcess({ environment })).end("SIGTERM");
    const store = await openDatabase(database);
    await sql`insert into spool_migrations (name, timestamp) values ('9999-later', '')`.execute(store.db);
    await store.close();
    await assert.rejects(
      startServerProcess({ environment }),
      new RegExp(`ended with 1:[^]*9999-later[^]*${SCHEMA_VERSION}`),
    );
  }).timeout(SERVER_MS);

  it("requires a token on a public address: exit code 2 without one, UNAUTHENTICATED for a wrong one", async () => {
    await using database = await createDatabase();
    const open = { SPOOL_DATABASE_URL: database.url, SPOOL_HOST: "0.0.0.0" };
    await assert.rejects(startServerProcess({ environment: open }), /ended with 2:[^]*SPOOL_TOKEN/);
    await using server = await startServerProcess({
      environment: { SPOOL_DATABASE_URL: database.url, SPOOL_TOKEN: "right" },
    });
    using stranger = connect({ address: server.address, token: "wrong" });
    const error = await stranger.start({ kind: "echo" }).catch((reason: unknown) => reason);
    assert.ok(error instanceof SpoolRpcError);
    assert.equal(error.code, "UNAUTHENTICATED");
    using friend = connect({ address: server.address, token: "right" });
    assert.equal((await friend.start({ kind: "echo" })).alreadyStarted, false);
  }).timeout(SERVER_MS);

  it("ends running tasks with SERVER_SHUTDOWN on SIGTERM, and followers receive the end", async () => {
    await using database = await createDatabase();
    const environment = { SPOOL_DATABASE_URL: database.url, SPOOL_DRAIN_MS: "50" };
    const server = await startServerProcess({ environment });
    using client = connect({ address: server.address });
    const { task } = await client.start(LONG);
    let last: SpoolEvent | undefined;
    let exit: Promise<number | null> | undefined;
    for await (last of client.follow({ taskId: task.taskId })) exit ??= server.end("SIGTERM");
    assert.equal(await exit, 0);
    const final = last!;
    assert.deepEqual(final.type === "final" && [final.status, final.error?.reason], ["failed", "SERVER_SHUTDOWN"]);
  }).timeout(SERVER_MS);

  it("runs kinds of the user and refuses a file without kinds", async () => {
    const file = join(import.meta.dirname, "..", "..", "examples", "count-words.ts");
    const environment = { SPOOL_DATA_DIR: dataDir };
    await assert.rejects(
      startServerProcess({ environment, args: ["--kinds", import.meta.filename] }),
      /ended with 2:[^]*serve\.test\.ts/,
    );
    await using server = await startServerProcess({ environment, args: ["--kinds", file] });
    using client = connect({ address: server.address });
    const { task } = await client.start({ kind: "count-words", params: { files: [file] } });
    assert.equal((await client.waitFinal({ taskId: task.taskId, timeoutMs: 30_000 })).status, "succeeded");
  }).timeout(SERVER_MS);
});

/** The first events of a tape that goes on. */
async function readUntil(client: SpoolClient, taskId: string, count: number) {
  const events = [];
  for await (const event of client.follow({ taskId })) {
    events.push(event);
    if (events.length === count) break;
  }
  return events;
}
