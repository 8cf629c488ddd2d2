import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import { claimStatement, claimTasks, planOnce } from "../../../src/store/tasks/claim-statement.ts";
import { describeHeavyOnEachStore } from "../../support/stores.ts";

const FEW = 1_000;
const MANY = 30_000;
const SLOTS = 16;
const TIMEOUT_MS = 120_000;

/** What Postgres says that a statement has done. */
interface Plan {
  Plan: { "Shared Hit Blocks": number; "Shared Read Blocks": number };
}

/** By pages read, since time depends on the machine. */
describeHeavyOnEachStore("the cost of a claim", (store) => {
  const db = () => store().db;

  /** Tasks that wait, by SQL: as a start stores them. */
  async function fill(tasks: number, { key, kind = "echo" }: { key: string; kind?: string }): Promise<string> {
    const namespace = randomUUID();
    await sql`
      insert into tasks (task_id, namespace, kind, status, params, params_digest, labels, created_at, max_attempts,
                         exclusive_key)
      select (${namespace.slice(0, 8)} || '-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, ${namespace}, ${kind}, 'pending', '{}', '', '{}',
             now() - interval '1 hour' + n * interval '1 ms', 1, ${sql.raw(key)}
      from generate_series(1, ${tasks}::int) n`.execute(db());
    await sql`analyze tasks`.execute(db());
    return namespace;
  }

  const claim = (namespace: string, { keys = [] as string[], limit = SLOTS } = {}) => ({
    namespace,
    kinds: ["other", "echo"],
    lease: randomUUID(),
    limit,
    keys,
  });

  /** How many pages one claim reads, which is rolled back. */
  async function pagesOf(namespace: string, parts: { keys?: string[]; limit?: number } = {}): Promise<number> {
    const trx = await db().startTransaction().execute();
    try {
      await planOnce(true).execute(trx);
      const { rows } = await sql<{ "QUERY PLAN": [Plan] }>`
        explain (analyze, buffers, format json) ${claimStatement(claim(namespace, parts))}`.execute(trx);
      const { Plan: plan } = rows[0]!["QUERY PLAN"][0];
      return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"];
    } finally {
      await trx.rollback().execute();
    }
  }

  /** Claims as an engine does, until nothing more can be taken for now. */
  async function settle(namespace: string, keys: string[]): Promise<number> {
    let taken = 0;
    for (let unsettled = keys, isMoving = true; isMoving;) {
      const claimed = await claimTasks(db(), { ...claim(namespace, { keys: unsettled, limit: 1_000 }), window: 1_000 });
      taken += claimed.tasks.length;
      unsettled = claimed.blockedKeys;
      isMoving = claimed.tasks.length + unsettled.length > 0;
    }
    return taken;
  }

  for (const [what, key] of [
    ["without keys", "null"],
    ["with a key each", "'key-' || n"],
    ["over 1,000 keys", "'key-' || n % 1000"],
  ] as const) {
    it(`does not grow with the number of waiting tasks, ${what}`, async function () {
      this.timeout(TIMEOUT_MS);
      const [few, many] = [await fill(FEW, { key }), await fill(MANY, { key })];
      const [fewPages, manyPages] = [await pagesOf(few), await pagesOf(many)];
      assert.ok(manyPages <= 1.3 * fewPages, `${fewPages} pages beside ${FEW}, ${manyPages} beside ${MANY}`);
    });
  }

  it("does not grow with the number of tasks that wait for one key, whether the key is held or free", async function () {
    this.timeout(TIMEOUT_MS);
    const pages: number[] = [];
    for (const tasks of [FEW, MANY]) {
      const namespace = await fill(tasks, { key: "'key'" });
      assert.equal(await settle(namespace, []), 1);
      await sql`vacuum (analyze) tasks`.execute(db()); // What was just blocked is in the index until then.
      pages.push(await pagesOf(namespace, { keys: ["key"] })); // While it is held.
      await sql`delete from task_exclusives where namespace = ${namespace}`.execute(db());
      pages.push(await pagesOf(namespace, { keys: ["key"] }));
    }
    const [fewHeld, fewFree, manyHeld, manyFree] = pages as [number, number, number, number];
    assert.ok(manyHeld <= 1.3 * fewHeld, `while it is held: ${fewHeld} pages, then ${manyHeld}`);
    assert.ok(manyFree <= 1.3 * fewFree, `when it is free: ${fewFree} pages, then ${manyFree}`);
  });
});
