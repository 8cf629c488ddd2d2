import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtempDisposable } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { openDatabase } from "../../../src/store/database.ts";
import { MIGRATIONS, SCHEMA_VERSION } from "../../../src/store/migrate.ts";
import { applySteps } from "../../../src/store/schema-steps.ts";
import { createDatabase } from "../../support/postgres.ts";
import type { TestDatabase } from "../../support/postgres.ts";
import { runSpool } from "../spool-process.ts";

const TIMEOUT_MS = 60_000;

describe("spool migrate", function () {
  this.timeout(TIMEOUT_MS);

  it("migrates a database once, and then reports that there is nothing to migrate", async () => {
    await using database = await createDatabase();
    const first = await runSpool(["migrate", "--json", "--database-url", database.url]);
    const second = await runSpool(["migrate"], { environment: { SPOOL_DATABASE_URL: database.url } });
    assert.equal(first.code, 0);
    const { applied, version } = JSON.parse(first.stdout);
    assert.ok(applied.length > 0);
    assert.deepEqual([second.code, second.stdout], [0, `nothing to migrate; schema version ${version}\n`]);
  });

  it("exits with 2 on an invalid configuration", async () => {
    assert.equal((await runSpool(["migrate", "--database-url", "mysql://x"])).code, 2);
  });

  describe("of a database at an earlier schema", () => {
    const MISSING = Object.keys(MIGRATIONS).filter((name) => name > "0007-crashes");
    let database: TestDatabase;
    let environment: Record<string, string>;
    beforeEach(async () => {
      database = await createDatabase();
      environment = { SPOOL_DATABASE_URL: database.url };
      const store = await openDatabase({ url: database.url });
      const steps = Object.entries(MIGRATIONS).filter(([name]) => name <= "0007-crashes");
      await applySteps(store.db, Object.fromEntries(steps));
      await store.close();
    });
    afterEach(() => database?.[Symbol.asyncDispose]());

    it("prints the plan without applying it, and each stage while it applies it", async () => {
      for (let count = 0; count < 2; count++) {
        const { code, stdout, stderr } = await runSpool(["migrate", "--plan"], { environment });
        assert.deepEqual([code, stderr], [0, ""]);
        const [title, step, first, second] = stdout.split("\n");
        assert.equal(title, `from 0007-crashes to ${SCHEMA_VERSION}: ${MISSING.length} steps`);
        assert.equal(step, "0008-claims (older programs cannot start on it)");
        assert.match(first!, /^ {2}change table tasks +brief lock +tasks: rows unknown$/);
        assert.match(second!, /^ {2}build index tasks_claimable +no lock +tasks: rows unknown$/);
      }
      const { code, stdout, stderr } = await runSpool(["migrate"], { environment });
      assert.deepEqual([code, stdout], [0, `applied ${MISSING.join(", ")}; schema version ${SCHEMA_VERSION}\n`]);
      const lines = stderr.split("\n");
      assert.deepEqual(lines.slice(0, 2), [
        "0008-claims: change table tasks",
        "0008-claims: build index tasks_claimable",
      ]);
      assert.ok(lines.includes("0008-claims: applied"));
      const after = await runSpool(["migrate", "--plan"], { environment });
      assert.deepEqual([after.code, after.stdout], [0, `nothing to migrate\nschema version ${SCHEMA_VERSION}\n`]);
    });

    it("prints the plan and the stages as JSON", async () => {
      const { stdout } = await runSpool(["migrate", "--plan", "--json"], { environment });
      const { steps, ...plan } = JSON.parse(stdout) as { steps: { stages: unknown[] }[] };
      assert.deepEqual(plan, { found: "0007-crashes", target: SCHEMA_VERSION, one_transaction: false, kinds: [] });
      assert.partialDeepStrictEqual(steps[1], { step: "0010-stalled-tasks", runs_from: "0010-stalled-tasks" });
      assert.deepEqual(steps[1]!.stages, [
        { does: "change table sessions", table: "sessions", lock: "brief", rows: null, is_built: false },
      ]);
      const { stderr } = await runSpool(["migrate", "--json"], { environment });
      const [first] = stderr.split("\n");
      assert.deepEqual(JSON.parse(first!), { event: "stage", step: "0008-claims", stage: "change table tasks" });
    });

    it("names the session that holds the lock, gives up after --wait, and exits with 1", async () => {
      const other = new pg.Client({ connectionString: database.url, application_name: "another session" });
      await other.connect();
      try {
        await other.query("select pg_advisory_lock(hashtextextended('spool migrations', 0))");
        const { code, stderr } = await runSpool(["migrate", "--wait", "1ms"], { environment });
        assert.equal(code, 1);
        assert.match(
          stderr,
          /^spool: another migration still runs after .* because of pid \d+ \(another session, idle, /m,
        );
      } finally {
        await other.end();
      }
    });
  });

  it("plans an embedded database that does not exist, and does not create it", async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), "spool-plan-"));
    const dataDir = join(folder.path, "data");
    const { code, stdout } = await runSpool(["migrate", "--plan", "--data-dir", dataDir]);
    assert.equal(code, 0);
    assert.match(stdout, /^from an empty database to .*, in one transaction\n {2}0001-tasks\n/);
    assert.equal(existsSync(dataDir), false);
  });
});
