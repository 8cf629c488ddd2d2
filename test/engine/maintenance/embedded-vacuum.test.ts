import assert from "node:assert/strict";
import { sql } from "kysely";
import { pino } from "pino";
import { EmbeddedVacuum } from "../../../src/engine/maintenance/embedded-vacuum.ts";
import { openDatabase } from "../../../src/store/database.ts";
import type { Store } from "../../../src/store/database.ts";
import { migrate } from "../../../src/store/migrate.ts";
import { vacuumNext } from "../../../src/store/vacuum.ts";
import { eventually } from "../../support/eventually.ts";

describe("the vacuum of the embedded database", () => {
  let store: Store;
  beforeEach(async () => {
    store = await openDatabase({ dataDir: null });
    await migrate(store.db);
  });
  afterEach(() => store.close());

  /** Inserts events, and deletes them. */
  async function writeAndDelete(count: number): Promise<void> {
    await sql`insert into task_events (task_id, seq, time, type, body)
      select gen_random_uuid(), 1, now(), 'log', '{}' from generate_series(1, ${count}::int)`.execute(store.db);
    await sql`delete from task_events`.execute(store.db);
    await sql`select pg_stat_force_next_flush()`.execute(store.db);
  }

  async function pages(): Promise<number> {
    const { rows } = await sql<{ pages: number }>`
      select (pg_relation_size('task_events') / current_setting('block_size')::int)::int as pages`.execute(store.db);
    return rows[0]!.pages;
  }

  it("frees the space of deleted events, and leaves tables with few dead rows alone", async () => {
    assert.equal(await vacuumNext(store.db), null);
    await writeAndDelete(900);
    assert.equal(await vacuumNext(store.db), null);
    await writeAndDelete(5_000);
    assert.ok((await pages()) > 10);
    assert.equal(await vacuumNext(store.db), "task_events");
    assert.equal(await pages(), 0);
    assert.equal(await vacuumNext(store.db), null);
  });

  it("runs by itself", async () => {
    await writeAndDelete(5_000);
    const vacuum = new EmbeddedVacuum({ db: store.db, log: pino({ level: "silent" }), everyMs: 10 });
    vacuum.start();
    await eventually(async () => assert.equal(await pages(), 0));
    await vacuum.stop();
  });
});
