import assert from "node:assert/strict";
import { join } from "node:path";
import { connect } from "../../src/client/client.ts";
import { openDatabase } from "../../src/store/database.ts";
import { MIGRATIONS } from "../../src/store/migrate.ts";
import { applySteps } from "../../src/store/schema-steps.ts";
import { runSpool } from "../cli/spool-process.ts";
import { eventually } from "../support/eventually.ts";
import { startServer } from "../support/postgres.ts";
import type { PostgresServer } from "../support/postgres.ts";
import { startServerProcess } from "../support/server-process.ts";
import { startPgbouncer } from "./support/pgbouncer.ts";

const KINDS = join(import.meta.dirname, "../fault/support/kinds.ts");
const WAIT_MS = 20_000;

describe("a server behind pgbouncer", () => {
  let postgres: PostgresServer;
  before(async () => {
    postgres = await startServer();
  });
  after(() => postgres[Symbol.asyncDispose]());

  const doctor = async (databaseUrl: string, address: string) => {
    const { code, stdout } = await runSpool(["doctor"], {
      environment: { SPOOL_DATABASE_URL: databaseUrl, SPOOL_ADDRESS: address },
    });
    return { code, stdout };
  };

  it("is healthy in session mode, and a direct server follows and cancels its tasks", async () => {
    await using pooler = await startPgbouncer(postgres.url, "session");
    const environment = { SPOOL_DATABASE_URL: pooler.url };
    await using behind = await startServerProcess({ environment, args: ["--kinds", KINDS] });
    await using direct = await startServerProcess({ environment: { SPOOL_DATABASE_URL: postgres.url } });
    using a = connect({ address: behind.address });
    using b = connect({ address: direct.address });
    const { task } = await a.start({ kind: "fault-steps", params: { events: 50, every_ms: 10 } });
    const events = await Array.fromAsync(b.follow({ taskId: task.taskId }));
    assert.deepEqual(
      events.map(({ seq }) => Number(seq)),
      Array.from(events, (_, index) => index + 1),
    );
    assert.equal(events.at(-1)!.type, "final");
    const { task: lasting } = await b.start({ kind: "fault-steps", params: { events: 2, every_ms: 120_000 } });
    await eventually(async () => assert.equal((await b.get({ taskId: lasting.taskId })).lastSeq, 2n));
    await b.cancel({ taskId: lasting.taskId });
    assert.equal((await a.waitFinal({ taskId: lasting.taskId, timeoutMs: WAIT_MS })).status, "cancelled");
    // On a busy machine something may be slow at one time, and not at the next.
    await eventually(
      async () => {
        const { code, stdout } = await doctor(pooler.url, behind.address);
        assert.deepEqual([code, stdout.endsWith("\n\nhealthy\n")], [0, true], stdout);
      },
      { timeoutMs: WAIT_MS },
    );
  });

  it("is unhealthy in transaction mode, and the doctor reports why", async () => {
    await using pooler = await startPgbouncer(postgres.url, "transaction");
    await using server = await startServerProcess({ environment: { SPOOL_DATABASE_URL: postgres.url } });
    const { code, stdout } = await doctor(pooler.url, server.address);
    assert.equal(code, 1, stdout);
    assert.match(stdout, /^fail +postgres +PostgreSQL \S+ behind a pooler in transaction mode/m);
    assert.match(stdout, /^warn +wakeups +a NOTIFY did not arrive/m);
  });

  it("refuses to migrate a database with tasks in transaction mode, and says what to do", async () => {
    await using own = await startServer();
    const store = await openDatabase({ url: own.url });
    await applySteps(store.db, { "0001-tasks": MIGRATIONS["0001-tasks"] });
    await store.close();
    await using pooler = await startPgbouncer(own.url, "transaction");
    const { code, stderr } = await runSpool(["migrate", "--database-url", pooler.url]);
    assert.equal(code, 2, stderr);
    assert.match(stderr, /pooler in transaction mode, .* run spool migrate with a URL of Postgres itself/);
    assert.equal((await runSpool(["migrate", "--database-url", own.url])).code, 0);
  });
});
