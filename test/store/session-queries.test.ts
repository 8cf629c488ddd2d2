import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import type { KindOffer } from "../../src/domain/session.ts";
import {
  awaitWorkers,
  expireServerSessions,
  closeSession,
  countPeers,
  findOffer,
  listSessions,
  openSession,
  renewSession,
  takeSession,
} from "../../src/store/session-queries.ts";
import type { NewSession } from "../../src/store/session-queries.ts";
import { newSession } from "../support/new-sessions.ts";
import { createRunning, createTask } from "../support/new-tasks.ts";
import { describeOnEachStore } from "../support/stores.ts";

describeOnEachStore("the list of sessions", (store) => {
  let namespace: string;
  let opened = 0;
  beforeEach(() => {
    namespace = randomUUID();
  });

  async function open(
    names: readonly string[],
    { leaseMs = 60_000, ...offer }: Partial<KindOffer> & { leaseMs?: number } = {},
  ): Promise<string> {
    const sessionId = randomUUID();
    const kinds = names.map((name) => ({ name, retry: {}, isExclusive: false, ...offer }));
    await openSession(store().db, newSession({ sessionId, namespace, kinds, capacity: 3, leaseMs }));
    // The clock of the database may show two of them the same time.
    const later = sql<Date>`started_at + ${++opened}::int * interval '1 second'`;
    await store().db.updateTable("sessions").set({ started_at: later }).where("session_id", "=", sessionId).execute();
    return sessionId;
  }
  const list = async (limit = 10) => (await listSessions(store().db, { namespace, limit })).sessions;

  it("contains the sessions of the namespace, the oldest first, up to a limit", async () => {
    const sessions: string[] = [];
    for (const kinds of [["echo"], [], ["b", "a"]]) sessions.push(await open(kinds));
    assert.deepEqual(
      (await list()).map(({ sessionId, kinds }) => [sessionId, kinds]),
      [
        [sessions[0], ["echo"]],
        [sessions[1], []],
        [sessions[2], ["b", "a"]],
      ],
    );
    namespace = randomUUID();
    assert.deepEqual(await list(), []);
    const others = [await open(["other"])];
    assert.deepEqual(
      (await list()).map(({ sessionId, host, pid, kinds, capacity }) => ({ sessionId, host, pid, kinds, capacity })),
      [{ sessionId: others[0], host: "host", pid: 7, kinds: ["other"], capacity: 3 }],
    );
    await open(["second"]);
    assert.deepEqual(
      (await list(1)).map(({ sessionId }) => sessionId),
      others,
    );
  });

  it("counts the running tasks of each session, and no waiting tasks", async () => {
    const [one, other] = [await open(["echo"]), await open(["echo"])];
    for (let count = 0; count < 2; count++) await createRunning(store().db, { namespace, lease: one });
    await createTask(store().db, { namespace });
    assert.deepEqual(
      (await list()).map(({ sessionId, running }) => [sessionId, running]),
      [
        [one, 2],
        [other, 0],
      ],
    );
  });

  it("has the time of renewal and of expiry of each session, even of an expired one", async () => {
    const sessionId = await open([], { leaseMs: 0 });
    const [out] = await list();
    assert.ok(out!.expiresAt <= out!.seenAt);
    assert.equal(await renewSession(store().db, { sessionId, connection: 1, leaseMs: 5_000 }), true);
    const [renewed] = await list();
    assert.ok(renewed!.seenAt >= out!.seenAt);
    assert.equal(renewed!.expiresAt.getTime() - renewed!.seenAt.getTime(), 5_000);
    assert.deepEqual(renewed!.startedAt, out!.startedAt);
  });
});

describeOnEachStore("the offer of a kind", (store) => {
  const namespace = randomUUID();
  const find = (kind: string) => findOffer(store().db, { namespace, kind });

  it("comes from the oldest session with the kind, from a live one if possible", async () => {
    // Ids in the order in which they are opened: two may have the same time.
    let opened = 0;
    const open = (kinds: readonly KindOffer[], leaseMs = 60_000) => {
      const sessionId = `00000000-0000-7000-8000-${String(++opened).padStart(12, "0")}`;
      return openSession(store().db, newSession({ sessionId, namespace, kinds, leaseMs }));
    };
    assert.equal(await find("ingest"), undefined);
    const offer = { name: "ingest", retry: { maxAttempts: 3, jitter: 0.5 }, isExclusive: true };
    await open([{ ...offer, retry: {} }], 0);
    assert.deepEqual(await find("ingest"), { ...offer, retry: {}, isAlive: false });
    await open([{ name: "other", retry: {}, isExclusive: false }, offer]);
    await open([{ ...offer, retry: {} }]);
    assert.deepEqual(await find("ingest"), { ...offer, isAlive: true });
    assert.equal(await find("INGEST"), undefined);
    assert.equal(await findOffer(store().db, { namespace: randomUUID(), kind: "ingest" }), undefined);
  });
});

describeOnEachStore("a worker's session", (store) => {
  const namespace = randomUUID();
  const tokenDigest = "a digest";
  const open = async (session: Partial<NewSession> = {}) => {
    const opened = newSession({ namespace, tokenDigest, ...session });
    await openSession(store().db, opened);
    return { ...opened, tokenDigest };
  };
  const list = async (sessionId: string) =>
    (await listSessions(store().db, { namespace, limit: 1_000 })).sessions.find(
      (session) => session.sessionId === sessionId,
    );

  it("is handed over from stream to stream, and only the last one can renew or close it", async () => {
    const session = await open({ leaseMs: 0, capacity: 1, host: "old" });
    const { sessionId } = session;
    assert.equal(await takeSession(store().db, { ...session, leaseMs: 5_000, capacity: 2, host: "new" }), 2);
    const { host, capacity, seenAt, expiresAt, isWorker } = (await list(sessionId))!;
    assert.deepEqual([host, capacity, isWorker], ["new", 2, true]);
    assert.equal(expiresAt.getTime() - seenAt.getTime(), 5_000);
    const renew = (connection: number) => renewSession(store().db, { sessionId, connection, leaseMs: 1 });
    assert.deepEqual([await renew(1), await renew(2)], [false, true]);
    await closeSession(store().db, { sessionId, connection: 1 });
    assert.notEqual(await list(sessionId), undefined);
    await closeSession(store().db, { sessionId, connection: 2 });
    assert.equal(await list(sessionId), undefined);
    assert.equal(await takeSession(store().db, session), undefined);
  });

  it("cannot be taken without its token or in another namespace, and does not count as a server", async () => {
    const session = await open();
    const server = newSession({ namespace });
    await openSession(store().db, server);
    for (const wrong of [
      { ...session, tokenDigest: "another" },
      { ...session, namespace: randomUUID() },
      { ...session, sessionId: server.sessionId },
      { ...session, sessionId: randomUUID() },
    ]) {
      assert.equal(await takeSession(store().db, wrong), undefined);
    }
    assert.equal(await countPeers(store().db, { sessionId: randomUUID(), namespace }), 1);
    await expireServerSessions(store().db);
    assert.notEqual(await list(session.sessionId), undefined);
    assert.equal(await countPeers(store().db, { sessionId: randomUUID(), namespace }), 0);
    assert.notEqual(await list(server.sessionId), undefined);
  });

  it("is extended after a time without servers, and not if another server was alive", async () => {
    const namespace = randomUUID();
    const isAlive = async (sessionId: string) => {
      const query = sql<{
        alive: boolean;
      }>`select expires_at > now() as alive from sessions where session_id = ${sessionId}`;
      return (await query.execute(store().db)).rows[0]!.alive;
    };
    const worker = await open({ namespace, leaseMs: 0 });
    const [own, dead, other] = [newSession({ namespace }), newSession({ namespace }), newSession({ namespace })];
    const query = { namespace, sessionId: own.sessionId, waitMs: 60_000, silentMs: 1_000 };
    await openSession(store().db, own);
    await openSession(store().db, dead); // It counts as alive still, and has not shown itself for long.
    await sql`update sessions set seen_at = now() - interval '2 seconds' where session_id = ${dead.sessionId}`.execute(
      store().db,
    );
    await openSession(store().db, other);
    await awaitWorkers(store().db, query);
    assert.equal(await isAlive(worker.sessionId), false);
    await closeSession(store().db, { sessionId: other.sessionId, connection: 1 });
    await awaitWorkers(store().db, { ...query, namespace: randomUUID() });
    assert.equal(await isAlive(worker.sessionId), false);
    await awaitWorkers(store().db, query);
    assert.equal(await isAlive(worker.sessionId), true);
  });
});
