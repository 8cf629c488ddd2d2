import assert from "node:assert/strict";
import { sql } from "kysely";
import { pino } from "pino";
import type { Act } from "../../../src/domain/audit-event.ts";
import { AUDIT_PAGE_MAX } from "../../../src/domain/limits.ts";
import { ALL_GRANTS } from "../../../src/domain/principal.ts";
import type { Principal } from "../../../src/domain/principal.ts";
import { auditLogAdmin } from "../../../src/engine/access/audit-log.ts";
import { auditSweeper } from "../../../src/engine/access/audit-sweeper.ts";
import { audited, recordAct } from "../../../src/engine/access/audited.ts";
import type { AuditPage } from "../../../src/engine/api/service-admin.ts";
import { eventually } from "../../support/eventually.ts";
import { describeHeavyOnEachOwnStore } from "../../support/stores.ts";

const ROOT: Principal = { ...ALL_GRANTS, name: "root" };
const DAY_MS = 24 * 3_600_000;

function act(target: string, fields: Partial<Act> = {}): Act {
  return { actor: "ops", action: "test.act", target, namespace: null, details: { why: ["a", 1, null] }, ...fields };
}

describeHeavyOnEachOwnStore("the audit log", (store) => {
  let lines: Record<string, unknown>[];
  const log = pino({}, { write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>) });
  beforeEach(async () => {
    lines = [];
    await store().db.deleteFrom("audit_events").execute();
  });

  const parts = () => ({ db: store().db, log });
  const record = (...acts: Act[]) =>
    audited(parts(), async (_trx, append) => {
      for (const one of acts) append(one);
    });
  const follow = (by: Principal = ROOT, fromId = 0n, signal = new AbortController().signal) =>
    auditLogAdmin(store(), { pollMs: 5, heartbeatMs: 50 }).followAuditLog(by, { fromId }, signal);

  /** Reads the pages up to the first empty one. */
  async function stored(pages: AsyncIterable<AuditPage>): Promise<{ targets: string[]; nextFromId: bigint }> {
    const targets: string[] = [];
    for await (const { events, nextFromId } of pages) {
      if (events.length === 0) return { targets, nextFromId };
      assert.ok(events.length <= AUDIT_PAGE_MAX);
      targets.push(...events.map(({ target }) => target));
    }
    throw new Error("the audit log has no end");
  }

  it("gives a follower the stored acts, an empty page, and then new acts", async () => {
    await record(act("one", { namespace: "team-a" }));
    const pages = follow()[Symbol.asyncIterator]();
    const first = (await pages.next()).value as AuditPage;
    const { auditId, time, ...rest } = first.events[0]!;
    assert.deepEqual(rest, act("one", { namespace: "team-a" }));
    assert.ok(time instanceof Date);
    assert.equal(first.nextFromId, auditId + 1n);
    assert.deepEqual(await pages.next(), { done: false, value: { events: [], nextFromId: auditId + 1n } });
    await record(act("two"), act("three"));
    const later: string[] = [];
    while (later.length < 2) {
      const { events } = (await pages.next()).value as AuditPage;
      later.push(...events.map(({ target }) => target));
    }
    assert.deepEqual(later, ["two", "three"]);
    await pages.return!();
  });

  it("is read in bounded pages, and from any position on", async () => {
    const names = Array.from({ length: 2 * AUDIT_PAGE_MAX + 1 }, (_, number) => `${number}`);
    await record(...names.map((name) => act(name)));
    const all = await stored(follow());
    assert.deepEqual(all.targets, names);
    const [first] = (await store().db.selectFrom("audit_events").select("audit_id").orderBy("audit_id").execute())!;
    const rest = await stored(follow(ROOT, first!.audit_id + 150n));
    assert.deepEqual(rest, { targets: names.slice(150), nextFromId: all.nextFromId });
    assert.deepEqual((await stored(follow(ROOT, all.nextFromId))).targets, []);
  });

  it("sends heartbeats while nothing happens, and ends with the reason of the signal", async () => {
    const leaving = new AbortController();
    const reason = new Error("enough");
    let beats = 0;
    await assert.rejects(
      async () => {
        for await (const { events } of follow(ROOT, 0n, leaving.signal)) {
          assert.deepEqual(events, []);
          if (++beats === 3) leaving.abort(reason);
        }
      },
      (error) => error === reason,
    );
    assert.equal(beats, 3);
  });

  it("shows a caller the acts of its namespaces, and acts on the whole service only to callers of all", async () => {
    const acts = [null, "team-a", "team-b", "other"].map((namespace) => act(`${namespace}`, { namespace }));
    await record(...acts);
    const seenBy = async (namespaces: string[]) => (await stored(follow({ ...ROOT, namespaces }))).targets;
    assert.deepEqual(await seenBy(["*"]), ["null", "team-a", "team-b", "other"]);
    assert.deepEqual(await seenBy(["team-*"]), ["team-a", "team-b"]);
    assert.deepEqual(await seenBy(["other", "team-b"]), ["team-b", "other"]);
    assert.deepEqual(await seenBy(["team"]), []);
    for (const rights of [{ kinds: ["echo"] }, { labels: { team: "a" } }, { taskId: crypto.randomUUID() }]) {
      await assert.rejects(stored(follow({ ...ROOT, ...rights })), { reason: "PERMISSION_DENIED" });
    }
  });

  it("records acts in the commit of their change, and logs them after it", async () => {
    const failed = new Error("failed");
    const change = audited(parts(), async (_trx, append) => {
      append(act("one"));
      throw failed;
    });
    await assert.rejects(change, (error) => error === failed);
    assert.deepEqual([(await stored(follow())).targets, lines], [[], []]);
    const result = await audited(parts(), async (_trx, append) => {
      append(act("two"));
      return "done";
    });
    assert.equal(result, "done");
    await recordAct(parts(), act("three"));
    assert.deepEqual((await stored(follow())).targets, ["two", "three"]);
    assert.deepEqual(
      lines.map(({ msg, actor, action, target }) => [msg, actor, action, target]),
      ["two", "three"].map((target) => ["audit: act recorded", "ops", "test.act", target]),
    );
  });

  it("is kept for its retention, and deleted in batches after it", async () => {
    await sql`insert into audit_events (actor, action, target, time)
      select 'ops', 'test.act', n::text, now() - interval '91 days' from generate_series(1, 2500) n`.execute(
      store().db,
    );
    await record(act("kept"));
    await sql`update audit_events set time = now() - interval '89 days' where target = 'kept'`.execute(store().db);
    await record(act("new"));
    const sweeper = auditSweeper(store(), { retentionMs: 90 * DAY_MS, log });
    sweeper.start();
    try {
      sweeper.kick();
      await eventually(async () => assert.deepEqual((await stored(follow())).targets, ["kept", "new"]));
    } finally {
      await sweeper.stop();
    }
  });
});
