import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtempDisposable } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "../../src/client/client.ts";
import { runSpool } from "../cli/spool-process.ts";
import { createDatabase } from "../support/postgres.ts";
import { startServerProcess } from "../support/server-process.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const COUNTING = ["--kinds", join(ROOT, "test", "support", "stored-kinds.ts")];
const KNOWLEDGE = ["--kinds", join(ROOT, "examples", "knowledge", "kinds.ts")];
const SERVERS_MS = 120_000;

describe("spool serve with a package of kinds", function () {
  this.timeout(SERVERS_MS);
  let folder: Awaited<ReturnType<typeof mkdtempDisposable>>;
  beforeEach(async () => {
    folder = await mkdtempDisposable(join(tmpdir(), "spool-packages-"));
  });
  afterEach(() => folder.remove());

  async function run(address: string, kind: string, params = {}) {
    using client = connect({ address });
    const { task } = await client.start({ kind, params });
    return (await client.waitFinal({ taskId: task.taskId, timeoutMs: 30_000 })).result;
  }

  it("makes the package's tables, gives it the settings, and closes it when the server stops", async () => {
    const environment = {
      SPOOL_DATA_DIR: join(folder.path, "data"),
      SPOOL_SOURCES_DIR: folder.path,
      SPOOL_NAMESPACE: "counted",
      SPOOL_MODEL: "a-model",
      SPOOL_MODEL_BASE_URL: "http://127.0.0.1:9/v1",
    };
    const model = { baseUrl: "http://127.0.0.1:9/v1", apiKey: "", model: "a-model" };
    for (const count of [1, 2]) {
      const server = await startServerProcess({ environment, args: COUNTING });
      const result = await run(server.address, "count");
      assert.deepEqual(result, { count, databaseUrl: null, namespace: "counted", model });
      assert.equal(existsSync(join(folder.path, "closed")), count > 1);
      assert.equal(await server.end("SIGTERM"), 0);
      assert.ok(existsSync(join(folder.path, "closed")));
    }
  });

  it("gives the package the database's URL, and with SPOOL_MIGRATE=off waits for spool migrate --kinds @slow", async () => {
    await using database = await createDatabase();
    const environment = { SPOOL_DATABASE_URL: database.url, SPOOL_MIGRATE: "off", SPOOL_SOURCES_DIR: folder.path };
    assert.equal((await runSpool(["migrate", "--database-url", database.url])).code, 0);
    await assert.rejects(
      startServerProcess({ environment, args: COUNTING }),
      /the database lacks step "0001-counts" of the kinds "counting": run spool migrate --kinds FILE/,
    );
    const migrated = await runSpool(["migrate", "--json", "--database-url", database.url, ...COUNTING]);
    assert.deepEqual(JSON.parse(migrated.stdout).applied, ["counting/0001-counts", "counting/0002-first"]);
    await using server = await startServerProcess({ environment, args: COUNTING });
    const result = await run(server.address, "count");
    assert.deepEqual([result?.["count"], result?.["databaseUrl"], result?.["model"]], [1, database.url, null]);
  });

  it("runs ingest and synth of the example, and without --kinds echo alone @slow", async () => {
    const environment = {
      SPOOL_DATA_DIR: join(folder.path, "data"),
      SPOOL_SOURCES_DIR: join(ROOT, "docs"),
      SPOOL_UNKNOWN_KINDS: "refuse",
    };
    const full = await startServerProcess({ environment, args: KNOWLEDGE });
    assert.equal((await run(full.address, "ingest", { path: "guarantees.md" }))?.["added"], 1);
    assert.equal((await run(full.address, "synth"))?.["written"], 1);
    assert.equal(await full.end("SIGTERM"), 0);
    await using plain = await startServerProcess({ environment });
    assert.deepEqual(await run(plain.address, "echo", { count: 1 }), { echoed: 1 });
    await assert.rejects(run(plain.address, "ingest", { path: "." }), { reason: "KIND_UNKNOWN" });
  });

  it("refuses a package that is named twice, and one that cannot be opened @slow", async () => {
    const environment = { SPOOL_DATA_DIR: join(folder.path, "data") };
    const twice = startServerProcess({ environment, args: [...COUNTING, ...COUNTING] });
    await assert.rejects(twice, /ended with 2:[^]*the package counting is there twice/);
    const closed = ["--kinds", join(ROOT, "test", "support", "unopened-kinds.ts")];
    await assert.rejects(
      startServerProcess({ environment, args: closed }),
      /ended with 2:[^]*the package unopened cannot be opened: no licence/,
    );
  });
});
