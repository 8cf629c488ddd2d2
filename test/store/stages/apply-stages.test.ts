import assert from "node:assert/strict";
import { sql } from "kysely";
import pg from "pg";
import type { Store } from "../../../src/store/database.ts";
import {
  migrate,
  MIGRATIONS,
  planMigration,
  requireCurrentSchema,
  SCHEMA_VERSION,
} from "../../../src/store/migrate.ts";
import { applySteps } from "../../../src/store/schema-steps.ts";
import type { SchemaSteps } from "../../../src/store/schema-steps.ts";
import { MigrationBlocked } from "../../../src/store/stages/migration-lock.ts";
import type { MigrationEvent } from "../../../src/store/stages/migration-watch.ts";
import { EMPTY_DATABASES, readStructure } from "../../support/empty-databases.ts";
import { eventually } from "../../support/eventually.ts";

const STEPS: SchemaSteps = MIGRATIONS;
const FIRST: SchemaSteps = { "0001-tasks": MIGRATIONS["0001-tasks"] };

/** Returns the steps that a migrator applies that is killed in a step after some of its stages. */
function interrupted(step: string, stages: number): SchemaSteps {
  const known = Object.entries(STEPS).filter(([name]) => name <= step);
  const failing = { type: "transaction", table: null, statements: ["select 1 / 0"] } as const;
  return {
    ...Object.fromEntries(known),
    [step]: { stages: [...STEPS[step]!.stages.slice(0, stages), failing] },
  };
}

for (const [name, prepare] of Object.entries(EMPTY_DATABASES)) {
  describe(`the migration of a database with tasks, on ${name}`, () => {
    let database: Awaited<ReturnType<typeof prepare>>;
    let store: Store;
    beforeEach(async () => {
      database = await prepare();
      store = await database.open();
      await applySteps(store.db, FIRST);
      await sql`
        insert into tasks (task_id, namespace, kind, status, params, params_digest, labels, max_attempts, finished_at)
        select gen_random_uuid(), 'default', 'echo', case when n % 2 = 0 then 'pending' else 'failed' end, '{}', '', '{}', 1,
               case when n % 2 = 1 then now() end
        from generate_series(1, 1200) n`.execute(store.db);
    });
    afterEach(async () => {
      await store?.close();
      await database?.[Symbol.asyncDispose]();
    });

    async function assertMigrated(): Promise<void> {
      await requireCurrentSchema(store.db);
      await using fresh = await prepare();
      const { db, close } = await fresh.open();
      await migrate(db);
      assert.deepEqual(await readStructure(store.db), await readStructure(db));
      await close();
      const { rows } = await sql<{ status: string; ended_xid: bigint | null; tasks: bigint }>`
        select status, ended_xid, count(*) as tasks from tasks group by 1, 2 order by 1`.execute(store.db);
      assert.deepEqual(rows, [
        { status: "failed", ended_xid: 0n, tasks: 600n },
        { status: "pending", ended_xid: null, tasks: 600n },
      ]);
    }

    it("applies all stages, and results in the schema of a new database", async () => {
      const events: MigrationEvent[] = [];
      const applied = await migrate(store.db, { onEvent: (event) => events.push(event) });
      assert.deepEqual(applied, Object.keys(STEPS).slice(1));
      const stages = applied.flatMap((step) => STEPS[step]!.stages);
      assert.equal(events.filter(({ type }) => type === "stage").length, stages.length);
      assert.deepEqual(
        events.flatMap((event) => (event.type === "batch" ? [event.rows] : [])),
        [500, 600],
      );
      await assertMigrated();
    });

    it("resumes after an end of its process after each stage", async () => {
      let ends = 0;
      for (const [step, { stages }] of Object.entries(STEPS).slice(1)) {
        // A transaction at the end commits together with the step.
        const last = stages.at(-1)!.type === "transaction" ? stages.length - 1 : stages.length;
        for (let done = 0; done <= last; done++) {
          await assert.rejects(applySteps(store.db, interrupted(step, done)), { code: "22012" });
          ends++;
        }
        await assert.rejects(requireCurrentSchema(store.db));
        const known = Object.entries(STEPS).filter(([name]) => name <= step);
        assert.deepEqual(await applySteps(store.db, Object.fromEntries(known)), [step]);
      }
      assert.ok(ends > Object.keys(STEPS).length);
      await assertMigrated();
    });

    it("is planned with the missing steps, their stages and locks, and the indexes that are built", async () => {
      await assert.rejects(applySteps(store.db, interrupted("0005-followed-tasks", 5)), { code: "22012" });
      await sql`analyze tasks`.execute(store.db);
      const before = await readStructure(store.db);
      const { found, target, isOneTransaction, steps } = await planMigration(store.db);
      assert.deepEqual(
        { found, target, isOneTransaction },
        { found: "0004-workers", target: SCHEMA_VERSION, isOneTransaction: false },
      );
      assert.deepEqual(
        steps.map(({ step }) => step),
        Object.keys(STEPS).slice(4),
      );
      const [followed] = steps;
      assert.equal(followed!.runsFrom, "0005-followed-tasks");
      assert.deepEqual(
        followed!.stages.map(({ does, table, lock, rows, isBuilt }) => [does, table, lock, rows, isBuilt]),
        [
          ["change table tasks", "tasks", "brief", 1200, false],
          ["build index tasks_not_ended_with_xid", "tasks", "none", 1200, false],
          ["update rows of tasks", "tasks", "batches", 1200, false],
          ["drop index tasks_not_ended_with_xid", "tasks", "none", 1200, false],
          ["build index tasks_ended", "tasks", "none", 1200, true],
          ["build index tasks_ended_unsaid", "tasks", "none", 1200, false],
          ["build index tasks_waiting_again", "tasks", "none", 1200, false],
        ],
      );
      assert.deepEqual(await readStructure(store.db), before);
      await migrate(store.db);
      assert.deepEqual((await planMigration(store.db)).steps, []);
    });
  });
}

describe("the plan of an empty database", () => {
  it("is one transaction that locks no table", async () => {
    await using database = await EMPTY_DATABASES.PGlite();
    const { db } = await database.open();
    const plan = await planMigration(db);
    assert.deepEqual([plan.found, plan.isOneTransaction], [null, true]);
    assert.equal(plan.steps.length, Object.keys(STEPS).length);
    assert.ok(plan.steps.every(({ stages }) => stages.every(({ lock }) => lock === "none")));
    assert.deepEqual(await planMigration(null), plan);
  });
});

describe("a migration beside other sessions", () => {
  let database: Awaited<ReturnType<typeof EMPTY_DATABASES.Postgres>>;
  let store: Store;
  let other: pg.Client;
  let pid: number;
  beforeEach(async () => {
    database = await EMPTY_DATABASES.Postgres();
    store = await database.open();
    await applySteps(store.db, FIRST);
    other = new pg.Client({ connectionString: store.url!, application_name: "another session" });
    await other.connect();
    ({ pid } = (await other.query("select pg_backend_pid() as pid")).rows[0] as { pid: number });
  });
  afterEach(async () => {
    await other?.end();
    await store?.close();
    await database?.[Symbol.asyncDispose]();
  });

  const LOCK = "select pg_advisory_lock(hashtextextended('spool migrations', 0))";
  const UNLOCK = "select pg_advisory_unlock(hashtextextended('spool migrations', 0))";

  /** Starts the migration, and collects its events. */
  function start(waitMs?: number) {
    const events: MigrationEvent[] = [];
    const migrated = migrate(store.db, {
      ...(waitMs !== undefined && { waitMs }),
      onEvent: (event) => events.push(event),
    });
    migrated.catch(() => {}); // Awaited later.
    const seen = <Type extends MigrationEvent["type"]>(type: Type) =>
      eventually(() => {
        const found = events.find((event): event is Extract<MigrationEvent, { type: Type }> => event.type === type);
        assert.ok(found !== undefined);
        return found;
      });
    return { migrated, seen };
  }

  it("names the session that holds the migration lock, and continues when the lock is free", async () => {
    await other.query(LOCK);
    const { migrated, seen } = start();
    const { sessions } = await seen("locked");
    assert.deepEqual(
      sessions.map((session) => [session.pid, session.application, session.state]),
      [[pid, "another session", "idle"]],
    );
    await other.query(UNLOCK);
    assert.equal((await migrated).at(-1), SCHEMA_VERSION);
  });

  it("gives up after its limit, and names the session that holds the migration lock", async () => {
    await other.query(LOCK);
    await assert.rejects(start(1).migrated, (error: Error) => {
      assert.ok(error instanceof MigrationBlocked);
      assert.match(
        error.message,
        new RegExp(`^another migration still runs .* pid ${pid} \\(another session, idle, its statement began`),
      );
      return true;
    });
  });

  it("is done once if several processes start it", async () => {
    const stores = await Promise.all([1, 2, 3].map(() => database.open()));
    try {
      const applied = await Promise.all(stores.map(({ db }) => migrate(db)));
      assert.deepEqual(applied.flat(), Object.keys(STEPS).slice(1));
    } finally {
      await Promise.all(stores.map((each) => each.close()));
    }
  });

  it("gives way to other statements while a session locks a table, names the session, and then continues", async () => {
    await other.query("begin");
    await other.query("lock table tasks in access share mode");
    const { migrated, seen } = start();
    const { step, stage, sessions } = await seen("blocked");
    assert.deepEqual([step, stage], ["0004-workers", "change table tasks"]);
    assert.deepEqual(
      sessions.map((session) => [session.pid, session.application]),
      [[pid, "another session"]],
    );
    // Waits behind the migration until the lock of the migration times out.
    await sql`delete from tasks`.execute(store.db);
    await other.query("rollback");
    assert.equal((await migrated).at(-1), SCHEMA_VERSION);
  });

  it("gives up after its limit for a stage, and names the step and the session", async () => {
    await other.query("begin");
    await other.query("lock table tasks in access share mode");
    await assert.rejects(start(2_000).migrated, (error: Error) => {
      assert.ok(error instanceof MigrationBlocked);
      assert.match(error.message, new RegExp(`^0004-workers \\(change table tasks\\) got no lock .* pid ${pid} \\(`));
      return true;
    });
    await other.query("rollback");
  });

  it("replaces an index that an interrupted build has left invalid", async () => {
    const task = `insert into tasks (task_id, namespace, kind, status, params, params_digest, labels, max_attempts)
      values (gen_random_uuid(), 'default', 'echo', 'pending', '{}', '', '{}', 1)`;
    await other.query(`${task}; ${task}`);
    const build = "create unique index concurrently tasks_finished on tasks (namespace)";
    await assert.rejects(other.query(build), { code: "23505" });
    await migrate(store.db);
    const { rows } = await sql<{ definition: string; isvalid: boolean }>`
      select pg_get_indexdef(indexrelid) as definition, indisvalid as isvalid from pg_index
      where indexrelid = 'tasks_finished'::regclass`.execute(store.db);
    assert.equal(rows[0]!.isvalid, true);
    assert.match(rows[0]!.definition, /\(namespace, finished_at\)/);
  });

  it("leaves its connection with the settings of the others", async () => {
    await migrate(store.db);
    const { rows } = await sql<{ name: string; pids: bigint }>`
      select application_name as name, count(*) as pids from pg_stat_activity
      where datname = current_database() and pid <> ${pid}::int group by 1`.execute(store.db);
    assert.deepEqual(
      rows.map(({ name }) => name),
      ["spool"],
    );
  });
});
