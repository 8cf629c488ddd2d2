import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { connect } from "../../src/client/client.ts";
import { CHECK_NAMES } from "../../src/doctor/check.ts";
import type { Check } from "../../src/doctor/check.ts";
import { eventually } from "../support/eventually.ts";
import { createDatabase } from "../support/postgres.ts";
import type { TestDatabase } from "../support/postgres.ts";
import { startServerProcess } from "../support/server-process.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";
import { runSpool, spawnSpool } from "./spool-process.ts";

/** Creating an embedded database takes seconds, and longer on a busy machine. */
const TIMEOUT_MS = 60_000;

describe("spool doctor", function () {
  this.timeout(TIMEOUT_MS);

  describe("on a Postgres server", () => {
    let database: TestDatabase;
    before(async () => {
      database = await createDatabase();
    });
    after(() => database?.[Symbol.asyncDispose]());

    it("exits with 0 if the service is healthy, and with 1 if its server is gone", async () => {
      const server = await startServerProcess({ environment: { SPOOL_DATABASE_URL: database.url } });
      const environment = { SPOOL_DATABASE_URL: database.url, SPOOL_ADDRESS: server.address };
      // On a busy machine a check may be slow once and fast the next time.
      const healthy = await eventually(
        async () => {
          const ended = await runSpool(["doctor"], { environment });
          assert.deepEqual(
            [ended.code, ended.stderr, ended.stdout.endsWith("\n\nhealthy\n")],
            [0, "", true],
            ended.stdout,
          );
          return ended;
        },
        { timeoutMs: 30_000 },
      );
      const lines = healthy.stdout.trimEnd().split("\n");
      assert.deepEqual(
        lines.slice(0, -2).map((line) => line.split(/ +/).slice(0, 2)),
        CHECK_NAMES.map((name) => ["ok", name]),
      );
      assert.match(healthy.stdout, new RegExp(`^ok +server +${server.address} is SERVING`, "m"));
      assert.equal(await server.end("SIGTERM"), 0);
      const gone = await runSpool(["doctor", "--address", server.address], { environment });
      assert.equal(gone.code, 1);
      assert.match(
        gone.stdout,
        /^fail +sessions +no server is alive.*\n +start a server .* \(docs\/operating\.md: Start\)$/m,
      );
      assert.match(gone.stdout, /^fail +server +.* does not answer: /m);
      assert.match(gone.stdout, /\n\nunhealthy: sessions, server\n$/);
    });

    it("reports a killed server and the task that the server ran", async () => {
      await using other = await createDatabase();
      const environment = { SPOOL_DATABASE_URL: other.url, SPOOL_LEASE_MS: "1000" };
      const server = await startServerProcess({ environment });
      using client = connect({ address: server.address });
      const { task } = await client.start({ kind: "echo", params: { count: 1_000, delay_ms: 100 } });
      await eventually(async () => assert.equal((await client.get({ taskId: task.taskId })).status, "running"));
      await server.end("SIGKILL");
      await eventually(
        async () => {
          const { code, stdout } = await runSpool(["doctor"], { environment });
          assert.match(stdout, /^(warn|fail) +sweeper +not swept: 1 task whose session is gone by up to [\d.]+ s$/m);
          assert.match(stdout, /^fail +sessions +no server is alive; .*, 1 session expired$/m);
          assert.equal(code, 1);
        },
        { timeoutMs: 30_000 },
      );
    });

    it("asks the server at --address for its checks if no database is configured @slow", async () => {
      await using other = await createDatabase();
      const token = "s3cret-token";
      await using server = await startServerProcess({
        environment: { SPOOL_DATABASE_URL: other.url, SPOOL_TOKEN: token },
      });
      const noDatabase = { SPOOL_DATA_DIR: join(tmpdir(), "spool-doctor-that-is-not-there") };
      const ask = (...words: string[]) =>
        runSpool(["doctor", "--address", server.address, ...words], { environment: noDatabase });

      await eventually(
        async () => {
          const healthy = await ask("--token", token);
          assert.deepEqual([healthy.code, healthy.stderr], [0, ""], healthy.stdout);
          assert.deepEqual(
            healthy.stdout
              .split("\n")
              .slice(1, -3)
              .map((line) => line.split(/ +/).slice(0, 2)),
            CHECK_NAMES.map((name) => ["ok", name]),
          );
          assert.match(healthy.stdout, /^checked by the server at 127\.0\.0\.1:\d+ \(.*\n(.*\n)*\nhealthy\n$/);
        },
        { timeoutMs: 30_000 },
      );

      const unauthorized = await ask("--token", "another-token");
      assert.equal(unauthorized.code, 1);
      assert.match(unauthorized.stdout, /^fail +database +127\.0\.0\.1:\d+ does not answer: wrong bearer token/m);
      assert.match(unauthorized.stdout, /^skipped +sweeper +the server made no checks$/m);
      assert.match(unauthorized.stdout, /\n\nunhealthy: database; not checked: postgres, /);

      const client = new pg.Client(other.url);
      await client.connect();
      await client.query("insert into spool_migrations (name, timestamp) values ('9999-later', '2031-01-01')");
      await client.end();
      // The server caches its report for a moment.
      const unhealthy = await eventually(
        async () => {
          const ended = await ask("--token", token, "--json");
          assert.equal(ended.code, 1);
          return JSON.parse(ended.stdout) as { status: string; checks: Check[] };
        },
        { timeoutMs: 30_000 },
      );
      assert.equal(unhealthy.status, "fail");
      assert.deepEqual(
        unhealthy.checks.map(({ name }) => name),
        CHECK_NAMES,
      );
      const schema = unhealthy.checks.find(({ name }) => name === "schema");
      assert.equal(schema?.status, "fail");
      assert.match(schema.found, /9999-later, newer than/);
    });

    it("prints one JSON object of a stable shape with --json", async () => {
      const { code, stdout, stderr } = await runSpool(["doctor", "--json", "--database-url", database.url]);
      assert.deepEqual([code, stderr, stdout.trimEnd().split("\n").length], [1, "", 1]);
      const report = JSON.parse(stdout) as { status: string; took_ms: number; checks: Check[] };
      assert.deepEqual(Object.keys(report), ["status", "took_ms", "checks"]);
      assert.equal(report.status, "fail");
      assert.equal(typeof report.took_ms, "number");
      assert.deepEqual(
        report.checks.map(({ name }) => name),
        CHECK_NAMES,
      );
      for (const check of report.checks) {
        assert.deepEqual(Object.keys(check).sort(), ["found", "name", "section", "status", "todo"]);
      }
      const sessions = report.checks.find(({ name }) => name === "sessions");
      assert.deepEqual([sessions?.status, "section" in sessions! && sessions.section], ["fail", "Start"]);
    });

    it("ends after its --timeout if the database does not respond", async () => {
      const url = new URL(database.url);
      await using proxy = await startTcpProxy(() => new URL(database.url).host);
      proxy.silenceNext();
      url.host = proxy.address;
      const { waitForOutput, ended } = spawnSpool(["doctor", "--timeout", "1s", "--database-url", url.href]);
      await waitForOutput("unhealthy");
      const { code, stdout } = await ended;
      assert.equal(code, 1);
      assert.match(stdout, /^fail +database +no result within 1 s$/m);
    });
  });

  describe("with the embedded database", () => {
    let folder: string;
    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), "spool-doctor-"));
    });
    afterEach(() => rm(folder, { recursive: true, force: true }));

    it("asks the server that has the data folder open for its checks", async () => {
      const settings = { SPOOL_DATA_DIR: folder, SPOOL_TOKEN: "secret" };
      await using server = await startServerProcess({ environment: settings });
      const environment = { ...settings, SPOOL_ADDRESS: server.address };
      const { code, stdout } = await runSpool(["doctor"], { environment });
      assert.ok(stdout.startsWith(`checked by the server at ${server.address} (${hostname()}/${server.child.pid})\n`));
      assert.match(stdout, /^ok +database +the embedded database in .* answers in /m);
      assert.match(stdout, /^ok +sessions +1 server and 0 workers alive/m);
      assert.match(stdout, /^ok +server +.* is SERVING/m);
      assert.match(stdout, /\n\nhealthy; not checked: connections, transactions, horizon, vacuum, wakeups\n$/);
      assert.equal(code, 0);
      const unauthorized = await runSpool(["doctor"], { environment: { ...environment, SPOOL_TOKEN: "" } });
      assert.match(unauthorized.stdout, /^fail +database +.*bearer token/m);
      assert.equal(unauthorized.code, 1);
    });

    it("checks a data folder that no server has open, and creates no database @slow", async () => {
      const empty = await runSpool(["doctor", "--data-dir", folder]);
      assert.deepEqual([empty.code, await readdir(folder)], [1, []]);
      assert.match(empty.stdout, /^fail +database +no database in /m);
      assert.equal((await runSpool(["migrate", "--data-dir", folder])).code, 0);
      const { code, stdout } = await runSpool(["doctor", "--data-dir", folder]);
      assert.match(stdout, /^ok +schema /m);
      assert.match(
        stdout,
        /\n\nunhealthy: sessions; not checked: connections, transactions, horizon, vacuum, wakeups, server\n$/,
      );
      assert.equal(code, 1);
    });
  });

  for (const [words, message] of [
    [["--timeout", "0"], /--timeout <duration>.*1s to 10m/],
    [["--timeout", "999ms"], /1s to 10m/],
    [["--timeout", "601s"], /1s to 10m/],
    [["--database-url", "mysql://x"], /--database-url: must be a URL/],
    [["--lease-ms", "999", "--namespace", "no spaces"], /--namespace: [^]*--lease-ms: must be an integer from 1000/],
    [["--token", "two words"], /token: must be printable ASCII/],
  ] as [string[], RegExp][]) {
    it(`exits with 2 for ${words.join(" ")}`, async () => {
      const { code, stdout, stderr } = await runSpool(["doctor", ...words]);
      assert.deepEqual([code, stdout], [2, ""]);
      assert.match(stderr, message);
    });
  }
});
