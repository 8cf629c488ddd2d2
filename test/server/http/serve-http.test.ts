import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "../../support/eventually.ts";
import { createDatabase, startServer } from "../../support/postgres.ts";
import { readEvents } from "../../support/server-sent-events.ts";
import { startServerProcess } from "../../support/server-process.ts";

const SERVER_MS = 60_000;

describe("the HTTP endpoint of spool serve", () => {
  let dataDir: string;
  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), "spool-serve-"));
  });
  afterEach(() => rm(dataDir, { recursive: true, force: true }));

  async function start(url: string, request: object): Promise<string> {
    const response = await fetch(`${url}/spool.v1.TaskService/StartTask`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(request),
    });
    return ((await response.json()) as { task: { taskId: string } }).task.taskId;
  }

  it("reports why it is not ready while the database is down, and becomes ready afterwards", async () => {
    await using postgres = await startServer();
    await postgres.stop();
    await using server = await startServerProcess({ environment: { SPOOL_DATABASE_URL: postgres.url } });
    const ready = async () => {
      const response = await fetch(`${server.url}/readyz`);
      return [response.status, await response.json()];
    };
    const reason = "the database cannot be reached";
    const down = { ready: false, database: false, reason, schema: false, engine: false, draining: false };
    assert.deepEqual(await ready(), [503, down]);
    assert.equal((await fetch(`${server.url}/healthz`)).status, 200);
    await postgres.start();
    const up = { ready: true, database: true, schema: true, engine: true, draining: false };
    await eventually(async () => assert.deepEqual(await ready(), [200, up]));
    await postgres.stop();
    const lost = { ...up, ready: false, database: false, reason };
    await eventually(async () => assert.deepEqual(await ready(), [503, lost]));
  }).timeout(SERVER_MS);

  it("is not ready from the start of a stop and sends the ends of tasks to followers", async () => {
    await using database = await createDatabase();
    const environment = { SPOOL_DATABASE_URL: database.url, SPOOL_DRAIN_MS: "1000" };
    await using server = await startServerProcess({ environment });
    const taskId = await start(server.url, { kind: "echo", params: { count: 1_000, delay_ms: 100 } });
    const events = readEvents(await fetch(`${server.url}/v1/tasks/${taskId}/events`));
    assert.equal((await events.next()).value!.event, "started");
    const exit = server.end("SIGTERM");
    await eventually(async () => {
      const response = await fetch(`${server.url}/readyz`);
      assert.equal(((await response.json()) as { draining: boolean }).draining, true);
      assert.equal(response.status, 503);
    });
    const rest = await Array.fromAsync(events);
    const { final } = JSON.parse(rest.at(-1)!.data!) as { final: { error: { reason: string } } };
    assert.equal(final.error.reason, "SERVER_SHUTDOWN");
    assert.equal(await exit, 0);
  }).timeout(SERVER_MS);

  it("counts the calls of both endpoints", async () => {
    await using database = await createDatabase();
    await using server = await startServerProcess({ environment: { SPOOL_DATABASE_URL: database.url } });
    const taskId = await start(server.url, { kind: "echo" });
    await Array.fromAsync(readEvents(await fetch(`${server.url}/v1/tasks/${taskId}/events`)));
    const text = await (await fetch(`${server.url}/metrics`)).text();
    assert.match(text, /^spool_calls_total\{door="http",method="StartTask",code="ok"\} 1$/m);
    assert.match(text, /^spool_calls_total\{door="sse",method="StreamEvents",code="ok"\} 1$/m);
  }).timeout(SERVER_MS);

  it("is absent if switched off, and says how to switch it off if its port is in use @slow", async () => {
    await using server = await startServerProcess({ environment: { SPOOL_DATA_DIR: dataDir, SPOOL_HTTP_PORT: "off" } });
    assert.equal(server.url, undefined);
    const taker = createServer().listen(0, "127.0.0.1");
    await once(taker, "listening");
    const { port } = taker.address() as AddressInfo;
    const environment = { SPOOL_DATA_DIR: join(dataDir, "other"), SPOOL_HTTP_PORT: `${port}` };
    await assert.rejects(startServerProcess({ environment }), /ended with 1:[^]*EADDRINUSE.*SPOOL_HTTP_PORT/);
    taker.close();
  }).timeout(SERVER_MS);
});
