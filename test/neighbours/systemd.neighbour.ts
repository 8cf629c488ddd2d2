import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer } from "node:net";
import { createDatabase } from "../support/postgres.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free-port.ts";
import { startServerProcess } from "../support/server-process.ts";

const UNIT = join(import.meta.dirname, "..", "..", "deploy", "systemd", "spool.service");
const RECEIVER = join(import.meta.dirname, "support", "notify_socket.py");
/** Out of 100, by `systemd-analyze security`: below 20 is "OK". */
const EXPOSURE_MAX = 20;

describe("a server beside systemd", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "spool-systemd-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it("sends READY=1 when both listeners are open, and STOPPING=1 when it begins to stop", async () => {
    await using database = await createDatabase();
    const ports = [await freePort(), await freePort()].map(String) as [string, string];
    await using manager = await receiveStates(join(folder, "notify"), ports);
    const environment = { NOTIFY_SOCKET: manager.path, SPOOL_PORT: ports[0], SPOOL_HTTP_PORT: ports[1] };
    await using server = await startServerProcess({
      environment: { ...environment, SPOOL_DATABASE_URL: database.url },
    });
    await eventually(async () => assert.deepEqual(manager.lines(), ["READY=1 2"]));
    assert.equal(await server.end("SIGTERM"), 0);
    await eventually(async () => assert.match(manager.lines().at(-1)!, /^STOPPING=1 /));
    assert.equal(manager.lines().length, 2);
  });

  it("sends no READY=1 if a listener cannot open", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    await using manager = await receiveStates(join(folder, "notify"), []);
    const { port } = taken.address() as { port: number };
    const environment = { NOTIFY_SOCKET: manager.path, SPOOL_PORT: String(port), SPOOL_DATA_DIR: join(folder, "data") };
    await assert.rejects(startServerProcess({ environment }), /EADDRINUSE/);
    // Datagrams keep their order: a READY=1 of the server would come first.
    assert.equal(spawnSync("systemd-notify", ["STATUS=end"], { env: { ...process.env, ...environment } }).status, 0);
    await eventually(async () => assert.deepEqual(manager.lines(), ["STATUS=end 0"]));
    taken.close();
  });

  it("sends WATCHDOG=1 if the unit has a watchdog for this process", async () => {
    await using database = await createDatabase();
    await using manager = await receiveStates(join(folder, "notify"), []);
    const environment = { NOTIFY_SOCKET: manager.path, SPOOL_DATABASE_URL: database.url, WATCHDOG_USEC: "400000" };
    await using server = await startServerProcess({ environment });
    await eventually(async () => {
      assert.ok(manager.lines().filter((line) => line === "WATCHDOG=1 0").length >= 2, manager.lines().join());
    });
    assert.equal(await server.end("SIGTERM"), 0);
  });

  it("sends no WATCHDOG=1 if the watchdog is for another process", async () => {
    await using database = await createDatabase();
    await using manager = await receiveStates(join(folder, "notify"), []);
    const watchdog = { WATCHDOG_USEC: "1000", WATCHDOG_PID: "1" };
    const environment = { NOTIFY_SOCKET: manager.path, SPOOL_DATABASE_URL: database.url, ...watchdog };
    await using server = await startServerProcess({ environment });
    assert.equal(await server.end("SIGTERM"), 0);
    await eventually(async () => assert.deepEqual(manager.lines().toSorted(), ["READY=1 0", "STOPPING=1 0"]));
  });

  it("goes on serving if systemd-notify fails", async () => {
    await using database = await createDatabase();
    const environment = { NOTIFY_SOCKET: join(folder, "none"), SPOOL_DATABASE_URL: database.url };
    await using server = await startServerProcess({ environment });
    assert.equal((await fetch(`${server.url}/readyz`)).status, 200);
    assert.equal(await server.end("SIGTERM"), 0);
  });
});

describe("deploy/systemd/spool.service", () => {
  let folder: string;
  let unit: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "spool-unit-"));
    unit = join(folder, "spool.service");
    // systemd-analyze requires that the program exists.
    writeFileSync(unit, readFileSync(UNIT, "utf8").replace("ExecStart=/usr/local/bin/node", `ExecStart=/usr/bin/env`));
  });
  after(() => rmSync(folder, { recursive: true }));

  it("has no error or unknown setting", () => {
    const { status, stdout, stderr } = spawnSync("systemd-analyze", ["verify", unit], { encoding: "utf8" });
    assert.deepEqual([status, stdout, stderr], [0, "", ""]);
  });

  it("exposes little", () => {
    const args = ["security", "--offline=true", "--no-pager", `--threshold=${EXPOSURE_MAX}`, unit];
    const { status, stdout } = spawnSync("systemd-analyze", args, { encoding: "utf8" });
    assert.equal(status, 0, stdout);
  });
});

/** The socket of a service manager, and what has been sent to it: each state, with the number of ports that were open. */
async function receiveStates(path: string, ports: readonly string[]) {
  const receiver = spawn("/usr/bin/python3", [RECEIVER, path, ...ports], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(receiver, "exit");
  let printed = "";
  receiver.stdout.setEncoding("utf8").on("data", (text: string) => (printed += text));
  await eventually(async () => assert.match(printed, /^bound\n/));
  return {
    path,
    lines: () =>
      printed
        .split("\n")
        .slice(1, -1)
        .filter((line) => !line.startsWith("BARRIER=")), // Of systemd-notify itself.
    async [Symbol.asyncDispose]() {
      receiver.kill();
      await ended;
    },
  };
}
