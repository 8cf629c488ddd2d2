import assert from "node:assert/strict";
import * as fc from "fast-check";
import { sql } from "kysely";
import type { Transaction } from "kysely";
import { recordAudit } from "../../../src/store/access/audit.ts";
import { readAuditEvents } from "../../../src/store/access/audit-log.ts";
import type { Database } from "../../../src/store/schema.ts";
import { openPostgres } from "../../support/stores.ts";
import type { TestStore } from "../../support/stores.ts";

/** A transaction: its acts, the statements before each and after the last one, and whether it is committed. */
const writer = fc.record({
  acts: fc.integer({ min: 1, max: 3 }),
  before: fc.nat({ max: 3 }),
  after: fc.nat({ max: 4 }),
  isCommitted: fc.boolean(),
});

class RolledBack extends Error {}

describe("the audit log, under concurrent writers,", () => {
  let store: TestStore;
  before(async () => {
    store = await openPostgres();
  });
  after(() => store?.[Symbol.asyncDispose]());

  const statements = async (trx: Transaction<Database>, count: number) => {
    for (let done = 0; done < count; done++) await sql`select pg_current_snapshot()`.execute(trx);
  };

  it("shows each committed act to a follower once, in its order, however late its transaction commits", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(writer, { minLength: 5, maxLength: 40 }), async (writers) => {
        const target = crypto.randomUUID();
        const writing = Promise.all(
          writers.map(({ acts, before: first, after: last, isCommitted }, number) =>
            store.db
              .transaction()
              .execute(async (trx) => {
                await statements(trx, first);
                for (let act = 0; act < acts; act++) {
                  const details = { writer: number, act };
                  await recordAudit(trx, { actor: "test", action: "test.act", target, namespace: null, details });
                }
                await statements(trx, last);
                if (!isCommitted) throw new RolledBack();
              })
              .catch((error: unknown) => assert.ok(error instanceof RolledBack)),
          ),
        );
        const progress = { isOver: false };
        void writing.then(() => (progress.isOver = true));
        const followed: bigint[] = [];
        let fromId = 0n;
        let wasOver: boolean;
        do {
          wasOver = progress.isOver;
          for (const event of await readAuditEvents(store.db, { fromId, limit: 7 })) {
            fromId = event.auditId + 1n;
            if (event.target === target) followed.push(event.auditId);
          }
        } while (!wasOver || (await readAuditEvents(store.db, { fromId, limit: 1 })).length > 0);
        await writing;
        const stored = await store.db
          .selectFrom("audit_events")
          .select(["audit_id", "time"])
          .where("target", "=", target)
          .orderBy("audit_id")
          .execute();
        assert.deepEqual(
          followed,
          stored.map((row) => row.audit_id),
        );
        const kept = writers.filter(({ isCommitted }) => isCommitted).reduce((sum, { acts }) => sum + acts, 0);
        assert.equal(stored.length, kept);
        // The retention relies on it: the time rises with the number.
        const times = stored.map(({ time }) => time.getTime());
        assert.deepEqual(
          times,
          times.toSorted((one, other) => one - other),
        );
      }),
      { numRuns: 10 },
    );
  });
});
