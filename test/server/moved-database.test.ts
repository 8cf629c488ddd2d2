import assert from "node:assert/strict";
import pg from "pg";
import { connect, SpoolRpcError } from "../../src/client/client.ts";
import type { SpoolClient } from "../../src/client/client.ts";
import { HealthProbe } from "../fault/support/health-probe.ts";
import { eventually } from "../support/eventually.ts";
import { createDatabase } from "../support/postgres.ts";
import type { TestDatabase } from "../support/postgres.ts";
import { startServerProcess } from "../support/server-process.ts";

const SERVER_MS = 60_000;
const WITHIN = { timeoutMs: 20_000 };

async function administer({ url }: TestDatabase, ...statements: string[]): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  for (const statement of ["set default_transaction_read_only = off", ...statements]) await client.query(statement);
  await client.end();
}

async function echo(client: SpoolClient): Promise<string> {
  const { task } = await client.start({ kind: "echo" });
  return (await client.waitFinal({ taskId: task.taskId, timeoutMs: 30_000 })).status;
}

describe("spool serve", () => {
  it("is not ready while the database rejects writes, says why, and recovers by itself", async () => {
    await using database = await createDatabase();
    const name = new URL(database.url).pathname.slice(1);
    await using server = await startServerProcess({ environment: { SPOOL_DATABASE_URL: database.url } });
    using client = connect({ address: server.address, retryMs: 0 });
    assert.equal(await echo(client), "succeeded");
    const probe = new HealthProbe(server.address);
    await probe.until("serving");
    await administer(
      database,
      `alter database ${name} set default_transaction_read_only = on`,
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and pid <> pg_backend_pid()`,
    );
    const ready = async () => {
      const response = await fetch(`${server.url}/readyz`);
      const { reason } = (await response.json()) as { reason?: string };
      return [response.status, reason];
    };
    const why = "the database is read-only: default_transaction_read_only is on";
    await eventually(async () => assert.deepEqual(await ready(), [503, why]), WITHIN);
    await probe.until("not_serving");
    const error = await client.start({ kind: "echo" }).catch((reason: unknown) => reason);
    assert.ok(error instanceof SpoolRpcError);
    assert.deepEqual([error.code, error.reason], ["UNAVAILABLE", "STORE_UNAVAILABLE"]);
    await administer(database, `alter database ${name} reset default_transaction_read_only`);
    await eventually(async () => assert.deepEqual(await ready(), [200, undefined]), WITHIN);
    await probe.until("serving");
    await probe.stop();
    await eventually(async () => assert.equal(await echo(client), "succeeded"), WITHIN);
  }).timeout(SERVER_MS);

  it("runs and lists tasks on a database with another date style @slow", async () => {
    await using database = await createDatabase();
    const name = new URL(database.url).pathname.slice(1);
    await administer(database, `alter database ${name} set datestyle = 'German'`);
    await using server = await startServerProcess({ environment: { SPOOL_DATABASE_URL: database.url } });
    using client = connect({ address: server.address, retryMs: 0 });
    assert.equal(await echo(client), "succeeded");
    const tasks = await Array.fromAsync(client.list());
    assert.deepEqual(
      tasks.map(({ status, createdAt }) => [status, Number.isFinite(createdAt.getTime())]),
      [["succeeded", true]],
    );
  }).timeout(SERVER_MS);

  it("refuses to start on a database not encoded in UTF8, with exit code 2 and advice @slow", async () => {
    await using database = await createDatabase();
    const name = `${new URL(database.url).pathname.slice(1)}_latin1`;
    await administer(database, `create database ${name} encoding 'LATIN1' template template0 locale 'C'`);
    const url = new URL(database.url);
    url.pathname = name;
    await assert.rejects(
      startServerProcess({ environment: { SPOOL_DATABASE_URL: url.href } }),
      new RegExp(
        `ended with 2:[^]*SPOOL_DATABASE_URL: the database "${name}" has the encoding LATIN1[^]*create database`,
      ),
    );
    await administer(database, `drop database ${name} with (force)`);
  }).timeout(SERVER_MS);
});
