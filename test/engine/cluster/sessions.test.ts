import assert from "node:assert/strict";
import { sql } from "kysely";
import { LIST_SESSIONS_MAX } from "../../../src/domain/limits.ts";
import { startEngine } from "../../support/engines.ts";
import { describeHeavyOnEachStore } from "../../support/stores.ts";

describeHeavyOnEachStore("listSessions", (store) => {
  it("returns at most 1,000 sessions, and whether there are more", async () => {
    await using engine = await startEngine(store());
    const { namespace } = engine;
    const add = (count: number) =>
      sql`insert into sessions (session_id, namespace, host, pid, expires_at)
        select gen_random_uuid(), ${namespace}, 'host', 1, now() + interval '1 minute'
        from generate_series(1, ${count}::int)`.execute(store().db);
    await add(LIST_SESSIONS_MAX - 1); // The engine has its own.
    const all = await engine.listSessions();
    assert.deepEqual([all.sessions.length, all.hasMore], [LIST_SESSIONS_MAX, false]);
    await add(1);
    const most = await engine.listSessions();
    assert.deepEqual([most.sessions.length, most.hasMore], [LIST_SESSIONS_MAX, true]);
    assert.deepEqual(most.sessions[0], all.sessions[0]);
  });
});
