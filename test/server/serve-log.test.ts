import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { connect } from "../../src/client/client.ts";
import { eventually } from "../support/eventually.ts";
import { createDatabase } from "../support/postgres.ts";
import type { TestDatabase } from "../support/postgres.ts";
import { startServerProcess } from "../support/server-process.ts";
import type { ServerProcess } from "../support/server-process.ts";

const SERVER_MS = 60_000;
const KINDS = join(import.meta.dirname, "..", "support", "logged-kinds.ts");
const BIN = join(import.meta.dirname, "..", "..", "bin", "spool.js");

interface Line {
  level: string;
  msg: string;
  namespace: string;
  pid: number;
  err?: { message: string; stack: string; cause: { message: string } };
}

describe("the log of a server", function () {
  this.timeout(SERVER_MS);
  let database: TestDatabase;
  beforeEach(async () => {
    database = await createDatabase();
  });
  afterEach(() => database[Symbol.asyncDispose]());

  async function start(settings: Record<string, string> = {}) {
    const environment = {
      SPOOL_DATABASE_URL: database.url,
      SPOOL_LOG_LEVEL: "info",
      SPOOL_NAMESPACE: "shop",
      ...settings,
    };
    const server = await startServerProcess({ environment, args: ["--kinds", KINDS] });
    let text = "";
    server.child.stderr!.on("data", (chunk: Buffer) => (text += chunk.toString()));
    const closed = once(server.child.stderr!, "close");
    const lines = () =>
      text
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line) as Line);
    return { server, closed, lines, text: () => text };
  }

  async function put({ url }: ServerProcess, level: string): Promise<void> {
    const response = await fetch(`${url}/log-level`, { method: "PUT", body: JSON.stringify({ level }) });
    assert.deepEqual(await response.json(), { level });
  }

  it("loses no line to SIGTERM @slow", async () => {
    const { server, closed, lines } = await start();
    for (let time = 0; time < 50; time++) {
      await put(server, "warn");
      await put(server, "info");
    }
    assert.equal(await server.end("SIGTERM"), 0);
    await closed;
    const said = lines().map(({ msg }) => msg);
    assert.equal(said.filter((msg) => msg === "log: level changed").length, 100);
    assert.deepEqual(said.slice(-2), ["server: stopping", "server: stopped"]);
    assert.ok(lines().every(({ namespace, pid }) => namespace === "shop" && pid === server.child.pid));
  });

  it("loses no line to an uncaught error, and contains the error once without secrets", async () => {
    const { server, closed, lines, text } = await start();
    const ended = once(server.child, "exit");
    await put(server, "debug");
    using client = connect({ address: server.address });
    client.start({ kind: "crash" }).catch(() => {}); // Where the crash took its answer, it is tried until we leave.
    assert.deepEqual(await ended, [1, null]);
    await closed;
    assert.ok(lines().some(({ msg }) => msg === "log: level changed"));
    const fatal = lines().filter(({ level }) => level === "fatal");
    assert.equal(fatal.length, 1);
    const { err } = fatal[0]!;
    assert.equal(err!.message, "no way to postgres://[redacted]@db.example/spool");
    assert.equal(err!.cause.message, "Bearer [redacted]");
    assert.doesNotMatch(text(), /hunter2/);
  });

  it("contains no content of tasks at any level", async () => {
    const token = "s3cret-token";
    const { server, closed, text, lines } = await start({ SPOOL_LOG_LEVEL: "trace", SPOOL_TOKEN: token });
    using client = connect({ address: server.address, token });
    const { task } = await client.start({ kind: "confide", params: { secret: "s3cret" } });
    assert.equal((await client.waitFinal({ taskId: task.taskId, timeoutMs: 30_000 })).status, "succeeded");
    await client.start({ kind: "confide", params: { secret: ["s3cret"] } }).catch(() => {});
    await fetch(`${server.url}/metrics?token=${token}`, { headers: { authorization: `Bearer ${token}` } });
    assert.equal(await server.end("SIGTERM"), 0);
    await closed;
    assert.equal(lines().at(-1)!.msg, "server: stopped");
    assert.doesNotMatch(text(), /s3cret/);
  });

  it("switches to debug and back by SIGUSR2", async () => {
    const { server, lines } = await start();
    await using _ = server;
    const level = async () => ((await (await fetch(`${server.url}/log-level`)).json()) as { level: string }).level;
    for (const expected of ["debug", "info", "debug"]) {
      server.child.kill("SIGUSR2");
      await eventually(async () => assert.equal(await level(), expected));
    }
    await put(server, "error");
    server.child.kill("SIGUSR2");
    await eventually(async () => assert.equal(await level(), "info"));
    await eventually(() => {
      const changes = lines().filter(({ msg }) => msg === "log: level changed") as unknown as { by: string }[];
      assert.deepEqual(
        changes.map(({ by }) => by),
        ["SIGUSR2", "SIGUSR2", "SIGUSR2", "PUT /log-level", "SIGUSR2"],
      );
    });
  });

  it("is formatted for people and colored if configured @slow", async () => {
    for (const [environment, isColored] of [
      [{ FORCE_COLOR: "1" }, true],
      [{ NO_COLOR: "1" }, false],
    ] as const) {
      const { server, closed, text } = await start({ SPOOL_LOG_FORMAT: "pretty", ...environment });
      assert.equal(await server.end("SIGTERM"), 0);
      await closed;
      assert.match(text(), /\] .*INFO.*: .*stopping .*drain_ms=5000/);
      assert.equal(text().includes("\u001b["), isColored);
    }
  });

  it("does not block the server if the disk is full @slow", async function () {
    if (process.platform !== "linux") this.skip(); // Which has a device that is.
    const settings = {
      SPOOL_DATABASE_URL: database.url,
      SPOOL_PORT: "0",
      SPOOL_HTTP_PORT: "0",
      SPOOL_LOG_LEVEL: "debug",
    };
    const environment = { ...process.env, ...settings };
    const full = openSync("/dev/full", "w");
    const child = spawn(process.execPath, [BIN, "serve"], { env: environment, stdio: ["ignore", "pipe", full] });
    closeSync(full);
    const ended = once(child, "exit");
    let printed = "";
    child.stdout!.on("data", (chunk: Buffer) => (printed += chunk.toString()));
    await eventually(() => assert.match(printed, /Ctrl-C/), { timeoutMs: SERVER_MS / 2 });
    const [, address] = /^gRPC +(\S+)$/m.exec(printed)!;
    using client = connect({ address: address! });
    const { task } = await client.start({ kind: "echo", params: { count: 1 } });
    assert.equal((await client.waitFinal({ taskId: task.taskId, timeoutMs: 30_000 })).status, "succeeded");
    child.kill("SIGTERM");
    assert.deepEqual(await ended, [0, null]);
  });
});
