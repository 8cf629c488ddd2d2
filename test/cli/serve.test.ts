import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "kysely";
import { connect } from "../../src/client/client.ts";
import { migrate } from "../../src/store/migrate.ts";
import { openDatabase } from "../../src/store/database.ts";
import { createDatabase, startServer } from "../support/postgres.ts";
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
    await says("Press Ctrl-C to stop.");
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

  it("ends at once on a second signal @slow", async () => {
    const { child, said, says, ended } = spawnSpool([
      "serve",
      "--port",
      "0",
      "--data-dir",
      folder,
      "--drain-ms",
      "600000",
    ]);
    await says("Press Ctrl-C to stop.");
    const [, address] = /^gRPC +(\S+)$/m.exec(said.stdout)!;
    using client = connect({ address });
    await client.start({ kind: "echo", params: { count: 100, delay_ms: 10_000 } });
    child.kill("SIGTERM");
    await says('"stopping"');
    child.kill("SIGTERM");
    assert.equal((await ended).code, 143);
  });

  it("runs on a database whose URL names the host in its query, and says where without the password", async () => {
    await using database = await createDatabase();
    const { hostname, port, pathname, username } = new URL(database.url);
    const url = `postgres://${username}:s3cret-s3cret@${pathname}?host=${hostname}&port=${port}`;
    const { child, says, ended } = spawnSpool(["serve", "--port", "0"], { environment: { SPOOL_DATABASE_URL: url } });
    await says("Press Ctrl-C to stop.");
    child.kill("SIGTERM");
    const { code, stderr } = await ended;
    assert.equal(code, 0);
    assert.ok(stderr.includes(`"database":"${hostname}:${port}${pathname}"`));
    assert.ok(!stderr.includes("s3cret"));
  });

  it("ends with 1 where the database that it waits for turns out to be newer @slow", async () => {
    await using postgres = await startServer();
    const newer = await openDatabase({ url: postgres.url });
    await migrate(newer.db);
    await sql`insert into spool_migrations (name, timestamp) values ('9999-newer', '')`.execute(newer.db);
    await newer.close();
    await postgres.stop();
    const environment = { SPOOL_DATABASE_URL: postgres.url };
    const { says, ended } = spawnSpool(["serve", "--port", "0"], { environment });
    await says("Press Ctrl-C to stop.");
    await postgres.start();
    const { code, stderr } = await ended;
    assert.equal(code, 1);
    assert.match(stderr, /9999-newer, newer than this program's/);
  });

  it("keeps standard output to itself, whatever OpenTelemetry's SDK is told to say @slow", async () => {
    const environment = { OTEL_LOG_LEVEL: "debug", OTEL_TRACES_EXPORTER: "otlp", SPOOL_METRICS: "off" };
    const words = ["serve", "--json", "--port", "0", "--data-dir", folder];
    const { child, says, ended } = spawnSpool(words, { environment });
    await says('"doors"');
    child.kill("SIGTERM");
    const { stdout, stderr } = await ended;
    assert.match(JSON.parse(stdout).address, /^127\.0\.0\.1:\d+$/);
    for (const line of stderr.trimEnd().split("\n")) JSON.parse(line);
  });

  it("ends with 2 on a wrong configuration, and names every problem", async () => {
    const { code, stderr } = await runSpool(["serve", "--port", "none", "--slots", "0"]);
    assert.equal(code, 2);
    assert.match(stderr, /^spool: invalid configuration\n {2}--port: .*\n {2}--slots: .*\n$/);
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
    assert.deepEqual([second.code, second.stdout], [0, `nothing to migrate; schema version ${version}\n`]);
  });

  it("ends with 2 on a wrong configuration", async () => {
    assert.equal((await runSpool(["migrate", "--database-url", "mysql://x"])).code, 2);
  });
});
