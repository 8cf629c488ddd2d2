import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "kysely";
import { connect } from "../../src/client/client.ts";
import { migrate, MIGRATIONS, SCHEMA_VERSION } from "../../src/store/migrate.ts";
import { applySteps } from "../../src/store/schema-steps.ts";
import { openDatabase } from "../../src/store/database.ts";
import { createDatabase, startServer } from "../support/postgres.ts";
import { runSpool, spawnSpool } from "./spool-process.ts";

/** Creating an embedded database takes seconds, and longer on a busy machine. */
const TIMEOUT_MS = 60_000;

describe("spool serve", function () {
  this.timeout(TIMEOUT_MS);
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "spool-cli-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it("prints its listeners and example commands, and stops gracefully on SIGTERM", async () => {
    const { child, waitForOutput, ended } = spawnSpool(["serve", "--port", "0", "--data-dir", folder]);
    await waitForOutput("Press Ctrl-C to stop.");
    child.kill("SIGTERM");
    const { code, stdout } = await ended;
    assert.equal(code, 0);
    const [, address] = /^gRPC +(127\.0\.0\.1:\d+)$/m.exec(stdout)!;
    assert.ok(stdout.includes(`spool start echo --wait --address ${address}\n`));
    assert.ok(stdout.includes(`http://${address}/spool.v1.TaskService/RunTask\n`));
  });

  it("stops gracefully on a signal that arrives during the start", async () => {
    await using database = await createDatabase();
    const { child, waitForOutput, ended } = spawnSpool(["serve", "--json", "--port", "0"], {
      environment: { SPOOL_DATABASE_URL: database.url },
    });
    await waitForOutput("database: migrated");
    child.kill("SIGINT");
    const { code, stdout } = await ended;
    assert.equal(code, 0);
    assert.match(JSON.parse(stdout).address, /^127\.0\.0\.1:\d+$/);
  });

  it("exits at once on a second signal @slow", async () => {
    const { child, output, waitForOutput, ended } = spawnSpool([
      "serve",
      "--port",
      "0",
      "--data-dir",
      folder,
      "--drain-ms",
      "600000",
    ]);
    await waitForOutput("Press Ctrl-C to stop.");
    const [, address] = /^gRPC +(\S+)$/m.exec(output.stdout)!;
    using client = connect({ address });
    await client.start({ kind: "echo", params: { count: 100, delay_ms: 10_000 } });
    child.kill("SIGTERM");
    await waitForOutput('"server: stopping"');
    child.kill("SIGTERM");
    assert.equal((await ended).code, 143);
  });

  it("accepts a database URL with the host in its query, and logs the location without the password @slow", async () => {
    await using database = await createDatabase();
    const { hostname, port, pathname, username } = new URL(database.url);
    const url = `postgres://${username}:s3cret-s3cret@${pathname}?host=${hostname}&port=${port}`;
    const { child, waitForOutput, ended } = spawnSpool(["serve", "--port", "0"], {
      environment: { SPOOL_DATABASE_URL: url },
    });
    await waitForOutput("Press Ctrl-C to stop.");
    child.kill("SIGTERM");
    const { code, stderr } = await ended;
    assert.equal(code, 0);
    assert.ok(stderr.includes(`"database":"${hostname}:${port}${pathname}"`));
    assert.ok(!stderr.includes("s3cret"));
  });

  it("names both schemas once if a newer program migrated the database and allows this program to run", async () => {
    await using database = await createDatabase();
    const newer = await openDatabase({ url: database.url });
    await applySteps(newer.db, {
      ...MIGRATIONS,
      "9999-next": { stages: [], runsFrom: SCHEMA_VERSION },
    });
    await newer.close();
    const environment = { SPOOL_DATABASE_URL: database.url };
    const { child, waitForOutput, ended } = spawnSpool(["serve", "--port", "0"], { environment });
    await waitForOutput("Press Ctrl-C to stop.");
    child.kill("SIGTERM");
    const { code, stderr } = await ended;
    assert.equal(code, 0);
    const lines = stderr.split("\n").filter((line) => line.includes("migrated by a newer program"));
    assert.equal(lines.length, 1);
    assert.partialDeepStrictEqual(JSON.parse(lines[0]!), { schema: "9999-next", program_schema: SCHEMA_VERSION });
    const { stdout } = await runSpool(["migrate", "--database-url", database.url]);
    assert.equal(stdout, "nothing to migrate; schema version 9999-next\n");
  });

  it("exits with 1 if the database that it waits for has a newer schema @slow", async () => {
    await using postgres = await startServer();
    const newer = await openDatabase({ url: postgres.url });
    await migrate(newer.db);
    await sql`insert into spool_migrations (name, timestamp) values ('9999-newer', '')`.execute(newer.db);
    await newer.close();
    await postgres.stop();
    const environment = { SPOOL_DATABASE_URL: postgres.url };
    const { waitForOutput, ended } = spawnSpool(["serve", "--port", "0"], { environment });
    await waitForOutput("Press Ctrl-C to stop.");
    await postgres.start();
    const { code, stderr } = await ended;
    assert.equal(code, 1);
    assert.match(stderr, /9999-newer, newer than this program's/);
  });

  it("keeps the debug log of the OpenTelemetry SDK off standard output @slow", async () => {
    const environment = { OTEL_LOG_LEVEL: "debug", OTEL_TRACES_EXPORTER: "otlp", SPOOL_METRICS: "off" };
    const words = ["serve", "--json", "--port", "0", "--data-dir", folder];
    const { child, waitForOutput, ended } = spawnSpool(words, { environment });
    await waitForOutput('"doors"');
    child.kill("SIGTERM");
    const { stdout, stderr } = await ended;
    assert.match(JSON.parse(stdout).address, /^127\.0\.0\.1:\d+$/);
    for (const line of stderr.trimEnd().split("\n")) JSON.parse(line);
  });

  it("exits with 2 on an invalid configuration, and reports every problem", async () => {
    const { code, stderr } = await runSpool(["serve", "--port", "none", "--slots", "0"]);
    assert.equal(code, 2);
    assert.match(stderr, /^spool: invalid configuration\n {2}--port: .*\n {2}--slots: .*\n$/);
  });

  it("exits with 2 if the host is not loopback and no token is set", async () => {
    const { code, stderr } = await runSpool(["serve", "--host", "0.0.0.0", "--json"]);
    assert.equal(code, 2);
    assert.match(JSON.parse(stderr).error.problems[0], /SPOOL_TOKEN/);
  });

  it("exits with 1 if it cannot listen @slow", async () => {
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
