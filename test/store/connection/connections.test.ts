import assert from "node:assert/strict";
import { sql } from "kysely";
import { Overloaded, StoreUnavailable } from "../../../src/domain/errors.ts";
import { DatabaseMisconfigured, NotWritable } from "../../../src/store/connection/session-check.ts";
import { openDatabase } from "../../../src/store/database.ts";
import type { Store } from "../../../src/store/database.ts";
import { notify, openListener } from "../../../src/store/connection/notifications.ts";
import { administer } from "../../support/administer.ts";
import { eventually } from "../../support/eventually.ts";
import { isUnavailableFor } from "../../support/unavailable.ts";
import { createDatabase, startServer } from "../../support/postgres.ts";
import type { TestDatabase } from "../../support/postgres.ts";
import { startTcpProxy } from "../../support/tcp-proxy.ts";

/** For a test that starts a server. */
const SERVER_MS = 60_000;

const look = ({ db }: Pick<Store, "db">) => sql`select 1`.execute(db);
const nameOf = ({ url }: TestDatabase) => new URL(url).pathname.slice(1);

const terminateOthers = `select pg_terminate_backend(pid) from pg_stat_activity
  where datname = current_database() and pid <> pg_backend_pid()`;

describe("a connection", () => {
  let database: TestDatabase;
  let store: Store;
  beforeEach(async () => {
    database = await createDatabase();
    store = await openDatabase({ url: database.url, connectionsMax: 4 });
  });
  afterEach(async () => {
    await store.close();
    await database[Symbol.asyncDispose]();
  });
  const alter = (setting: string) => administer(database, `alter database ${nameOf(database)} ${setting}`);

  it("has the settings that the code relies on, whatever settings the database has", async () => {
    for (const setting of [
      "datestyle = 'German'",
      "intervalstyle = 'iso_8601'",
      "timezone = 'Asia/Kolkata'",
      "extra_float_digits = -15",
      "bytea_output = 'escape'",
      "standard_conforming_strings = off",
      "client_encoding = 'LATIN1'",
      "default_transaction_isolation = 'serializable'",
      "synchronous_commit = off",
      "search_path = nowhere",
      "enable_seqscan = on",
      "jit = on",
    ])
      await alter(`set ${setting}`);
    const { rows } = await sql<Record<string, unknown>>`
      select now()::text ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2} .*[+]00$' as time, interval '1 day 2 hours'::text as interval,
             (1::float8 / 3)::text as float, '\\x00ff'::bytea::text as bytes, 'a\\b' as string, 'Grüße, 世界' as text,
             current_setting('transaction_isolation') as isolation, current_setting('synchronous_commit') as commit,
             current_setting('search_path') as path,
             current_setting('enable_seqscan') as seqscan, current_setting('jit') as jit,
             current_setting('idle_in_transaction_session_timeout') as idle`.execute(store.db);
    assert.deepEqual(rows[0], {
      time: true,
      interval: "1 day 02:00:00",
      float: "0.3333333333333333",
      bytes: "\\x00ff",
      string: "a\\b",
      text: "Grüße, 世界",
      isolation: "read committed",
      commit: "on",
      path: '"$user", public',
      seqscan: "off",
      jit: "off",
      idle: "3s",
    });
  });

  it("keeps a synchronous_commit other than off, and the search path of its URL", async () => {
    await alter("set synchronous_commit = 'local'");
    const url = new URL(database.url);
    url.searchParams.set("options", "-c search_path=mine");
    const other = await openDatabase({ url: url.href });
    const { rows } = await sql`select current_setting('synchronous_commit') as commit,
      current_setting('search_path') as path`.execute(other.db);
    assert.deepEqual(rows, [{ commit: "local", path: "mine" }]);
    await other.close();
  });

  it("for a listener has the same settings, and receives a payload in any script", async () => {
    await alter("set client_encoding = 'LATIN1'");
    const heard = Promise.withResolvers<string>();
    const listener = await openListener(database.url, (_channel, payload) => heard.resolve(payload));
    await listener.listen("channel");
    await notify(store.db, "channel", "世界");
    assert.equal(await heard.promise, "世界");
    await listener.close();
  });

  it("to a read-only database is refused, and accepted as soon as the database takes writes", async () => {
    await look(store);
    await alter("set default_transaction_read_only = on");
    await administer(database, terminateOthers);
    // The one that was ended may be told so only by the statement that wants it.
    await eventually(() => assert.rejects(look(store), isUnavailableFor(NotWritable, /read-only/)));
    await assert.rejects(store.check(), isUnavailableFor(NotWritable, /read-only/));
    await assert.rejects(
      openListener(database.url, () => {}),
      NotWritable,
    );
    assert.deepEqual([store.stats().pool!.connections, store.stats().pool!.idle], [0, 0]);
    await alter("reset default_transaction_read_only");
    await look(store);
    await store.check();
  });

  it("to a database in another encoding is refused, and the error says what to do", async () => {
    const name = `${nameOf(database)}_latin1`;
    await administer(database, `create database ${name} encoding 'LATIN1' template template0 locale 'C'`);
    const url = new URL(database.url);
    url.pathname = name;
    const other = await openDatabase({ url: url.href });
    const expected = new RegExp(`database "${name}" has the encoding LATIN1, and Spool needs UTF8: create one with`);
    await assert.rejects(look(other), isUnavailableFor(DatabaseMisconfigured, expected));
    await other.close();
    await administer(database, `drop database ${name}`);
  });

  it("on which a write is refused as read-only makes the pool drop all connections", async () => {
    const [lent, back] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const holder = store.db.connection().execute(async () => {
      lent.resolve();
      await back.promise;
    });
    await lent.promise;
    await Promise.all([look(store), look(store)]);
    const readOnly = store.db.transaction().execute(async (trx) => {
      await sql`set transaction read only`.execute(trx);
      await sql`create table nothing ()`.execute(trx);
    });
    await assert.rejects(readOnly, StoreUnavailable);
    await eventually(() => assert.deepEqual(store.stats().pool!.idle, 0));
    back.resolve();
    await holder;
    assert.ok(store.stats().pool!.dropped.read_only >= 2);
    await look(store);
    assert.equal(store.stats().pool!.connections, 1);
  });

  it("whose server becomes read-only is detected and dropped without a statement", async () => {
    await look(store);
    await administer(database, "alter system set default_transaction_read_only = on", "select pg_reload_conf()");
    try {
      await eventually(() => assert.equal(store.stats().pool!.connections, 0));
      assert.ok(store.stats().pool!.dropped.read_only >= 1);
    } finally {
      await administer(database, "alter system reset default_transaction_read_only", "select pg_reload_conf()");
    }
    await eventually(() => look(store));
  });

  it("that is released inside a transaction is not lent again", async () => {
    await store.db.connection().execute((connection) => sql`begin`.execute(connection));
    const { rows } = await sql<{ is: boolean }>`select now() <> statement_timestamp() as is`.execute(store.db);
    assert.deepEqual([rows[0]!.is, store.stats().pool!.dropped.broken], [false, 1]);
  });

  it("whose prepared statement no longer matches its table is dropped, and the next connection works", async () => {
    await sql`create table changing (a int)`.execute(store.db);
    const read = () => sql`/* spool_test */ select * from changing`.execute(store.db);
    await read();
    await sql`alter table changing add b int`.execute(store.db);
    await assert.rejects(read());
    await read();
  });
});

describe("a pool", () => {
  it("drops its connections when a new connection leads to another server", async () => {
    await using database = await createDatabase();
    await using elsewhere = await startServer();
    let target = new URL(database.url).host;
    await using proxy = await startTcpProxy(() => target);
    const url = new URL(elsewhere.url);
    url.host = proxy.address;
    const store = await openDatabase({ url: url.href });
    const portOf = async () => {
      const { rows } = await sql<{ port: string }>`select current_setting('port') as port`.execute(store.db);
      return rows[0]!.port;
    };
    const [before, after] = [await portOf(), new URL(elsewhere.url).port];
    target = new URL(elsewhere.url).host;
    // While the one that is open is lent, another is opened.
    assert.equal(await store.db.connection().execute(portOf), after);
    assert.notEqual(before, after);
    assert.deepEqual(await Promise.all([portOf(), portOf(), portOf()]), [after, after, after]);
    assert.equal(store.stats().pool!.dropped.moved, 1);
    await store.close();
  }).timeout(SERVER_MS);

  it("with all connections in use answers OVERLOADED, reports it once, and still serves statements with priority", async () => {
    await using database = await createDatabase();
    const exhausted: number[] = [];
    const watch = { dropped() {}, exhausted: ({ waiting }: { waiting: number }) => void exhausted.push(waiting) };
    const store = await openDatabase({ url: database.url, connectionsMax: 8 }, watch);
    const over = Promise.withResolvers<void>();
    const entered = Array.from({ length: 7 }, () => Promise.withResolvers<void>());
    const holders = entered.map(({ resolve }) =>
      store.db.connection().execute(() => {
        resolve();
        return over.promise;
      }),
    );
    await Promise.all(entered.map(({ promise }) => promise));
    const waiters = [look(store), look(store)];
    const refused = Promise.all(waiters.map((waiter) => assert.rejects(waiter, Overloaded)));
    await sql`select 1`.execute(store.priorityDb); // By the one that is kept.
    await refused;
    assert.deepEqual([exhausted.length, store.stats().pool!.timeouts], [1, 2]);
    assert.deepEqual(store.stats().errors, { unavailable: 0, conflict: 0, refused: 0 });
    over.resolve();
    await Promise.all([...holders, look(store)]);
    await store.close();
  });

  it("serves statements with priority first, and rejects them with STORE_UNAVAILABLE if no connection becomes free", async () => {
    await using database = await createDatabase();
    const store = await openDatabase({ url: database.url, connectionsMax: 1 });
    await sql`select 1`.execute(store.priorityDb);
    const order: string[] = [];
    const [entered, over] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const hold = () =>
      store.db.connection().execute(() => {
        entered.resolve();
        return over.promise;
      });
    const holder = hold();
    await entered.promise;
    const ordinary = look(store).then(() => order.push("ordinary"));
    const priority = sql`select 1`.execute(store.priorityDb).then(() => order.push("priority"));
    over.resolve();
    await Promise.all([holder, ordinary, priority]);
    assert.deepEqual(order, ["priority", "ordinary"]);
    const never = Promise.withResolvers<void>();
    const again = store.db.connection().execute(() => never.promise);
    await assert.rejects(sql`select 1`.execute(store.priorityDb), StoreUnavailable);
    never.resolve();
    await again;
    await store.close();
  });
});
