import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "../../src/client/client.ts";
import { runSpool, spawnSpool } from "./spool-process.ts";

/** A database in process takes seconds to be made, and more on a busy machine. */
const TIMEOUT_MS = 60_000;

describe("spool serve", function () {
  this.timeout(TIMEOUT_MS);
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "spool-cli-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it("prints its doors and what to try there, and stops in order on SIGTERM", async () => {
    const { child, says, ended } = spawnSpool(["serve", "--port", "0", "--data-dir", folder]);
    await says("Ctrl-C stops it.");
    child.kill("SIGTERM");
    const { code, stdout } = await ended;
    assert.equal(code, 0);
    const [, address] = /^gRPC +(127\.0\.0\.1:\d+)$/m.exec(stdout)!;
    assert.ok(stdout.includes(`spool start echo --wait --address ${address}\n`));
    assert.ok(stdout.includes(`http://${address}/spool.v1.TaskService/RunTask\n`));
  });

  it("stops in order on a signal that comes while it starts", async () => {
    const { child, says, ended } = spawnSpool(["serve", "--json", "--port", "0", "--data-dir", folder]);
    await says("the database was migrated");
    child.kill("SIGINT");
    const { code, stdout } = await ended;
    assert.equal(code, 0);
    assert.match(JSON.parse(stdout).address, /^127\.0\.0\.1:\d+$/);
  });

  it("ends at once on a second signal", async () => {
    const { child, said, says, ended } = spawnSpool([
      "serve",
      "--port",
      "0",
      "--data-dir",
      folder,
      "--drain-ms",
      "600000",
    ]);
    await says("Ctrl-C stops it.");
    const [, address] = /^gRPC +(\S+)$/m.exec(said.stdout)!;
    using client = connect({ address });
    await client.start({ kind: "echo", params: { count: 100, delay_ms: 10_000 } });
    child.kill("SIGTERM");
    await says('"stopping"');
    child.kill("SIGTERM");
    assert.equal((await ended).code, 143);
  });

  it("ends with 2 on a wrong configuration, and names every problem", async () => {
    const { code, stderr } = await runSpool(["serve", "--port", "none", "--slots", "0"]);
    assert.equal(code, 2);
    assert.match(stderr, /^spool: the configuration is wrong\n {2}--port: .*\n {2}--slots: .*\n$/);
  });

  it("ends with 2 on a host that is not loopback without a token", async () => {
    const { code, stderr } = await runSpool(["serve", "--host", "0.0.0.0", "--json"]);
    assert.equal(code, 2);
    assert.match(JSON.parse(stderr).error.problems[0], /SPOOL_TOKEN/);
  });

  it("ends with 1 where it cannot listen", async () => {
    const { code, stderr } = await runSpool([
      "serve",
      "--port",
      "0",
      "--host",
      "::2",
      "--token",
      "t",
      "--data-dir",
      folder,
    ]);
    assert.equal(code, 1);
    assert.match(stderr, /^spool: /m);
  });
});

describe("spool migrate", function () {
  this.timeout(TIMEOUT_MS);

  it("brings a database to the schema, and then has nothing to do", async () => {
    const folder = await mkdtemp(join(tmpdir(), "spool-cli-"));
    const first = await runSpool(["migrate", "--json", "--data-dir", folder]);
    const second = await runSpool(["migrate"], { environment: { SPOOL_DATA_DIR: folder } });
    await rm(folder, { recursive: true });
    assert.equal(first.code, 0);
    const { applied, version } = JSON.parse(first.stdout);
    assert.ok(applied.length > 0);
    assert.deepEqual([second.code, second.stdout], [0, `nothing to do; the schema is at ${version}\n`]);
  });

  it("ends with 2 on a wrong configuration", async () => {
    assert.equal((await runSpool(["migrate", "--database-url", "mysql://x"])).code, 2);
  });
});
