import assert from "node:assert/strict";
import pg from "pg";
import { InvalidArgument, StoreUnavailable } from "../../../src/domain/errors.ts";
import type { FollowCursor } from "../../../src/domain/follow-cursor.ts";
import type { FollowTasksQuery } from "../../../src/engine/api/task-engine.ts";
import { readChangedTapes } from "../../../src/store/tapes/changed-tasks.ts";
import { openDatabase } from "../../../src/store/database.ts";
import type { Store } from "../../../src/store/database.ts";
import { migrate } from "../../../src/store/migrate.ts";
import { start, wholeTape } from "../../support/engine-tasks.ts";
import { startEngine } from "../../support/engines.ts";
import type { TestEngine } from "../../support/engines.ts";
import { eventually } from "../../support/eventually.ts";
import { Followed, followQuery } from "../../support/followed-tasks.ts";
import { startServer } from "../../support/postgres.ts";
import type { PostgresServer } from "../../support/postgres.ts";

const NEVER = new AbortController().signal;
/** Nothing else may flush the log while a test runs: the session is renewed after it, and commits are not announced. */
const QUIET = { leaseMs: 120_000, notify: false };
const IDS = 50;
const CRASHES_MAX = 5;

describe("a cursor over many tasks, across crashes of Postgres,", function () {
  this.timeout(60_000);
  let server: PostgresServer;
  let store: Store;
  let sql: pg.Client;

  const connectSql = async () => {
    sql = new pg.Client(server.url);
    sql.on("error", () => {}); // Its server is killed.
    await sql.connect();
  };

  before(async () => {
    server = await startServer();
    await connectSql();
    // Records that no commit flushes stay unflushed for ten seconds.
    for (const setting of ["wal_writer_delay = '10s'", "autovacuum = off"])
      await sql.query(`alter system set ${setting}`);
    await sql.query("select pg_reload_conf()");
    store = await openDatabase({ url: server.url });
    await migrate(store.db);
  });
  after(async () => {
    await sql?.end().catch(() => {});
    await store?.close();
    await server?.[Symbol.asyncDispose]();
  });

  const ask = async (question: string) => (await sql.query<{ answer: string }>(question)).rows[0]!.answer;

  /** Transactions that take an id and write nothing, and others that are rolled back. @returns the last of the ids */
  async function takeIds(count: number): Promise<bigint> {
    let last = "";
    for (let taken = 0; taken < count; taken++) {
      await sql.query("begin");
      last = await ask("select pg_current_xact_id()::text as answer");
      await sql.query(taken % 2 === 0 ? "commit" : "rollback");
    }
    return BigInt(last);
  }

  /** Has the log end in records that are not on disk. @returns where it ends, and the last id that it tells of */
  function leaveUnflushed(): Promise<{ position: string; xid: bigint }> {
    return eventually(async () => {
      const xid = await takeIds(2);
      const position = await ask("select pg_current_wal_insert_lsn()::text as answer");
      assert.equal(await isFlushed(position), false);
      return { position, xid };
    });
  }

  async function isFlushed(position: string): Promise<boolean> {
    return (await ask(`select (pg_current_wal_flush_lsn() >= '${position}')::text as answer`)) === "true";
  }

  async function pagesOf(engine: TestEngine, count: number, query: Partial<FollowTasksQuery>): Promise<FollowCursor[]> {
    const cursors: FollowCursor[] = [];
    for await (const { cursor } of engine.followTasks(followQuery(query), NEVER)) {
      if (cursors.push(cursor) === count) break;
    }
    return cursors;
  }

  it("comes with the first page only when the log is on disk up to its snapshot", async () => {
    await using engine = await startEngine(store, QUIET);
    const { position, xid } = await leaveUnflushed();
    const [cursor] = await pagesOf(engine, 1, {});
    assert.ok(cursor!.seen.xmax > xid);
    assert.ok(await isFlushed(position));
  });

  for (const view of ["events", "tasks"] as const) {
    it(`comes with ${view} only when the log is on disk up to its snapshot`, async () => {
      await using engine = await startEngine(store, QUIET);
      const [cursor] = await pagesOf(engine, 1, { view });
      await wholeTape(engine, await start(engine));
      const { position, xid } = await leaveUnflushed();
      const [, next] = await pagesOf(engine, 2, { view, cursor: cursor! });
      assert.ok(next!.round!.target.xmax > xid);
      assert.ok(await isFlushed(position));
    });
  }

  it("stays the same with a heartbeat while the log lags behind the scanned snapshot", async () => {
    await using engine = await startEngine(store, QUIET);
    const pages = engine.followTasks(followQuery({ heartbeatMs: 20 }), NEVER)[Symbol.asyncIterator]();
    await pages.next();
    const { position, xid } = await leaveUnflushed();
    for (let count = 0; count < 4; count++) {
      const { cursor } = (await pages.next()).value!;
      assert.ok(cursor.seen.xmax <= xid || (await isFlushed(position)));
    }
    await pages.return(undefined);
  });

  it("advances without changes if it must be durable, and then the log is on disk", async () => {
    await using engine = await startEngine(store, QUIET);
    const [cursor] = await pagesOf(engine, 1, {});
    const { position, xid } = await leaveUnflushed();
    const query = { ...cursor!, namespace: engine.namespace, kinds: [], labels: {}, limit: 1 };
    const [may, must] = [false, true].map((mustBeDurable) => ({ ...query, mustBeDurable }));
    assert.equal((await readChangedTapes(store.db, may!)).isDurable, false);
    assert.equal(await isFlushed(position), false);
    const { snapshot, isDurable } = await readChangedTapes(store.db, must!);
    assert.ok(isDurable && snapshot.xmax > xid);
    assert.ok(await isFlushed(position));
  });

  it("misses and repeats no event when transaction ids are used again", async () => {
    await using engine = await startEngine(store, QUIET);
    let reused = 0;
    for (let crashes = 0; crashes < CRASHES_MAX && reused === 0; crashes++) {
      await takeIds(IDS);
      const followed = new Followed();
      await eventually(() => followed.follow(engine, () => true));
      const last = await takeIds(IDS);
      await server.kill();
      await server.start();
      await connectSql();
      const next = BigInt(await ask("select pg_snapshot_xmax(pg_current_snapshot())::text as answer"));
      if (next <= last) reused += Number(last - next) + 1;
      // More than have been taken: some of their transactions have the ids that the cursor might have seen.
      const taskIds = await Promise.all(
        Array.from({ length: 3 * IDS }, () => eventually(() => start(engine, { params: { count: 1 } }))),
      );
      await eventually(() => followed.follow(engine, ({ ended }) => ended === taskIds.length));
      for (const taskId of taskIds) assert.deepEqual(followed.tapes.get(taskId), await wholeTape(engine, taskId));
    }
    assert.ok(reused > 0, "no id was used again");
  });

  it("waits for the synchronous standbys, if there are any, and records that", async () => {
    await using engine = await startEngine(store, QUIET);
    const standbys = async (names: string) => {
      await sql.query(`alter system set synchronous_standby_names = '${names}'`);
      await sql.query("select pg_reload_conf()");
      await eventually(async () =>
        assert.equal(await ask("select current_setting('synchronous_standby_names') as answer"), names),
      );
    };
    await standbys("nobody");
    try {
      const page = pagesOf(engine, 1, {});
      await eventually(async () => {
        const waiting =
          "select count(*)::text as answer from pg_stat_activity where wait_event = 'SyncRep' and query like '%spool_snapshot%'";
        assert.equal(await ask(waiting), "1");
      });
      await standbys("");
      const [cursor] = await page;
      assert.equal(cursor!.seen.isReplicated, true);
    } finally {
      await standbys("");
    }
    const [cursor] = await pagesOf(engine, 1, {});
    assert.deepEqual([cursor!.seen.isReplicated, cursor!.seen.timeline], [false, 1]);
  });

  it("is refused after a failover unless a synchronous standby had its snapshot", async () => {
    await using engine = await startEngine(store, QUIET);
    const [cursor] = await pagesOf(engine, 1, {});
    const from = (origin: { timeline: number | null; isReplicated: boolean }) =>
      pagesOf(engine, 1, { cursor: { generation: 0, seen: { ...cursor!.seen, ...origin }, round: null } });
    await from({ timeline: 0, isReplicated: true });
    await from({ timeline: null, isReplicated: false });
    await assert.rejects(
      from({ timeline: 0, isReplicated: false }),
      (error) => error instanceof InvalidArgument && error.message.includes("(timeline 1, cursor on 0)"),
    );
    // The server still asks the database that has been failed over from: that passes.
    await assert.rejects(from({ timeline: 2, isReplicated: false }), StoreUnavailable);
    await assert.rejects(from({ timeline: 2, isReplicated: true }), StoreUnavailable);
  });
});
