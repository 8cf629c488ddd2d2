import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "kysely";
import { StoreUnavailable } from "../../src/domain/errors.ts";
import { lockDataDir } from "../../src/store/connection/data-dir-lock.ts";
import { openDatabase } from "../../src/store/database.ts";
import type { Store } from "../../src/store/database.ts";
import { hasEmbedded } from "../../src/store/connection/embedded.ts";
import { isSerializationFailure } from "../../src/store/errors.ts";
import { migrate } from "../../src/store/migrate.ts";
import { startCuttingProxy } from "../support/cutting-proxy.ts";
import { eventually } from "../support/eventually.ts";
import { createDatabase, startServer } from "../support/postgres.ts";
import type { PostgresServer } from "../support/postgres.ts";
import { describeOnEachStore, openPostgres } from "../support/stores.ts";

const INT8_MAX = 2n ** 63n - 1n;

describeOnEachStore("a database", (store) => {
  const db = () => store().db;

  it("passes int8 as bigint in both directions", async () => {
    for (const value of [0n, -1n, 2n ** 53n + 1n, INT8_MAX, -INT8_MAX - 1n]) {
      const { rows } = await sql<{ v: bigint }>`select ${value}::bigint as v`.execute(db());
      assert.equal(rows[0]?.v, value);
    }
    const { rows } = await sql<{ v: bigint }>`select unnest(${[1n, INT8_MAX]}::bigint[]) as v`.execute(db());
    assert.deepEqual(
      rows.map(({ v }) => v),
      [1n, INT8_MAX],
    );
  });

  it("stores json byte for byte", async () => {
    for (const text of ['{"b":1,  "a":"\\u0000", "b":2}', '"\\ud83d\\ude00"', "1e400", " [ ] ", '"é"']) {
      const { rows } = await sql<{ v: string }>`select ${text}::json::text as v`.execute(db());
      assert.equal(rows[0]?.v, text);
    }
  });

  it("returns times to the millisecond", async () => {
    const time = new Date("2031-02-03T04:05:06.789Z");
    const { rows } = await sql<{ v: Date }>`select ${time.toISOString()}::timestamptz as v`.execute(db());
    assert.deepEqual(rows[0]?.v, time);
  });

  it("remains usable after a failed statement, alone or in a transaction", async () => {
    await assert.rejects(sql`select 1/0`.execute(db()), { code: "22012" });
    const failing = db()
      .transaction()
      .execute((trx) => sql`select 1/0`.execute(trx));
    await assert.rejects(failing, (error) => !(error instanceof StoreUnavailable) && !isSerializationFailure(error));
    await sql`select 1`.execute(db());
  });

  it("counts the statements that it refuses", async () => {
    const before = store().stats().errors.refused;
    await assert.rejects(sql`select 1/0`.execute(db()));
    assert.equal(store().stats().errors.refused, before + 1);
  });
});

describe("a server", () => {
  it("prepares named statements once per connection", async () => {
    await using store = await openPostgres();
    await store.db.connection().execute(async (connection) => {
      const hot = (value: number) => sql<{ v: number }>`/* spool_test */ select ${value}::int as v`.execute(connection);
      assert.deepEqual([(await hot(1)).rows, (await hot(2)).rows], [[{ v: 1 }], [{ v: 2 }]]);
      const { rows } = await sql<{ name: string }>`select name from pg_prepared_statements`.execute(connection);
      assert.deepEqual(rows, [{ name: "spool_test" }]);
    });
  });

  it("rolls back one of two deadlocked transactions with an error that allows a retry", async () => {
    await using store = await openPostgres();
    const tasks = ["00000000-0000-7000-8000-000000000001", "00000000-0000-7000-8000-000000000002"];
    const held = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const lock = (index: number) =>
      store.db.transaction().execute(async (trx) => {
        const keys = index === 0 ? tasks : tasks.toReversed();
        await sql`insert into task_requests values ('n', ${keys[0]}, ${tasks[0]})`.execute(trx);
        held[index]!.resolve();
        await held[1 - index]!.promise;
        await sql`insert into task_requests values ('n', ${keys[1]}, ${tasks[0]}) on conflict do nothing`.execute(trx);
      });
    const outcomes = await Promise.allSettled([lock(0), lock(1)]);
    const failures = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason as unknown] : []));
    assert.deepEqual(failures.map(isSerializationFailure), [true]);
    assert.deepEqual(store.stats().errors, { unavailable: 0, conflict: 1, refused: 0 });
  });

  it("reports its open and idle connections, and how many statements wait", async () => {
    await using database = await createDatabase();
    const store = await openDatabase({ url: database.url, connectionsMax: 2 });
    const pool = () => {
      const { connections, idle, connectionsMax, waiting } = store.stats().pool!;
      return { connections, idle, connectionsMax, waiting };
    };
    assert.deepEqual(pool(), { connections: 0, idle: 0, connectionsMax: 2, waiting: 0 });
    const over = Promise.withResolvers<void>();
    const entered = Array.from({ length: 2 }, () => Promise.withResolvers<void>());
    const holders = entered.map(({ resolve }) =>
      store.db.connection().execute(() => {
        resolve();
        return over.promise;
      }),
    );
    await Promise.all(entered.map(({ promise }) => promise));
    const waiter = sql`select 1`.execute(store.db);
    await eventually(() => {
      assert.deepEqual(pool(), { connections: 2, idle: 0, connectionsMax: 2, waiting: 1 });
    });
    over.resolve();
    await Promise.all([...holders, waiter]);
    assert.deepEqual(pool(), { connections: 2, idle: 2, connectionsMax: 2, waiting: 0 });
    await store.close();
  });
});

describe("a server that stops", () => {
  let server: PostgresServer;
  let store: Store;
  before(async () => {
    server = await startServer();
    store = await openDatabase({ url: server.url, connectionsMax: 4 });
  });
  after(async () => {
    await store?.close();
    await server?.[Symbol.asyncDispose]();
  });

  beforeEach(() => server.start());

  const look = () => sql`select 1`.execute(store.db);
  const asleep = async () => {
    const { rows } = await sql<{ n: number }>`select count(*)::int as n from pg_stat_activity
      where query like 'select pg_sleep%' and state = 'active'`.execute(store.db);
    assert.equal(rows[0]?.n, 3);
  };

  for (const way of ["kill", "stop"] as const) {
    it(`fails running and new statements with STORE_UNAVAILABLE until it is back (${way})`, async () => {
      await look();
      const sleep = () => sql`select pg_sleep(3600)`;
      const under = [
        sleep().execute(store.db),
        store.db.transaction().execute((trx) => sleep().execute(trx)),
        store.db.connection().execute((connection) => sleep().execute(connection)),
      ].map((work) => assert.rejects(work, StoreUnavailable));
      await eventually(asleep);
      await server[way]();
      await Promise.all(under);
      // After a kill the last of the old backends may answer once more.
      await eventually(() => assert.rejects(look(), StoreUnavailable));
      const { unavailable } = store.stats().errors;
      for (let count = 0; count < 5; count++) await assert.rejects(look(), StoreUnavailable);
      assert.equal(store.stats().errors.unavailable, unavailable + 5);
      await assert.rejects(
        store.db.transaction().execute((trx) => sql`select 1`.execute(trx)),
        StoreUnavailable,
      );
      await server.start();
      await Promise.all(Array.from({ length: 10 }, look));
    });
  }

  it("between two statements of a transaction breaks the transaction, not the process", async () => {
    const broken = store.db.transaction().execute(async (trx) => {
      await sql`select 1`.execute(trx);
      await server.stop();
      await sql`select 1`.execute(trx);
    });
    await assert.rejects(broken, StoreUnavailable);
    await server.start();
    await look();
  });

  it("may have made a commit whose answer was lost", async () => {
    await using proxy = await startCuttingProxy(server.url);
    const cut = await openDatabase({ url: proxy.url });
    await migrate(store.db);
    await sql`select 1`.execute(cut.db); // What prepares a connection has "committed" in it.
    const lost = proxy.cutAnswerTo("commit");
    const insert = cut.db
      .transaction()
      .execute((trx) => sql`insert into task_requests values ('n', 'r', gen_random_uuid())`.execute(trx));
    await assert.rejects(insert, StoreUnavailable);
    await lost;
    const { rows } = await sql`select 1 from task_requests where request_id = 'r'`.execute(store.db);
    assert.equal(rows.length, 1);
    await cut.close();
  });
});

describe("a data folder", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "spool-data-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const isRefused = () =>
    assert.rejects(openDatabase({ dataDir: folder }), {
      message: `the data folder ${folder} is open in another process`,
    });

  it("keeps its data", async () => {
    const first = await openDatabase({ dataDir: folder });
    await migrate(first.db);
    await sql`insert into task_requests values ('n', 'r', gen_random_uuid())`.execute(first.db);
    await isRefused();
    await first.close();
    const second = await openDatabase({ dataDir: folder });
    assert.equal((await sql`select 1 from task_requests`.execute(second.db)).rows.length, 1);
    assert.equal(second.exclusive, true);
    await second.close();
  });

  it("is open in one process at a time, and free when that process is killed", async () => {
    const script = join(import.meta.dirname, "../support/folder-holder.ts");
    const child = spawn(process.execPath, [script, folder], { stdio: ["ignore", "pipe", "inherit"] });
    const exit = once(child, "exit");
    try {
      await once(child.stdout, "data");
      await isRefused();
    } finally {
      child.kill("SIGKILL");
      await exit;
    }
    const store = await openDatabase({ dataDir: folder });
    await sql`select 1`.execute(store.db);
    await store.close();
  });

  it("with a database whose creation was interrupted gets a new database", async () => {
    // As a process leaves it that is killed while it makes one.
    await mkdir(join(folder, "postgres", "base"), { recursive: true });
    await writeFile(join(folder, "postgres", "PG_VERSION"), "18\n");
    await writeFile(join(folder, "postgres.unfinished"), "");
    assert.equal(hasEmbedded(folder), false);
    const store = await openDatabase({ dataDir: folder });
    await migrate(store.db);
    await store.close();
    assert.equal(hasEmbedded(folder), true);
  });

  it("has one owner when two callers lock it at the same time", async () => {
    for (let round = 0; round < 50; round++) {
      const folder = await mkdtemp(join(tmpdir(), "spool-lock-"));
      const locks = await Promise.allSettled([lockDataDir(folder), lockDataDir(folder)]);
      const held = locks.flatMap((lock) => (lock.status === "fulfilled" ? [lock.value] : []));
      assert.equal(held.length, 1);
      await held[0]!.release();
      await rm(folder, { recursive: true });
    }
  });

  it("with a long path can be locked", async () => {
    const lock = await lockDataDir(join(folder, "x".repeat(120)));
    await assert.rejects(lockDataDir(join(folder, "x".repeat(120))), { message: /is open in another process$/ });
    await lock.release();
    await (await lockDataDir(join(folder, "x".repeat(120)))).release();
  });
});
