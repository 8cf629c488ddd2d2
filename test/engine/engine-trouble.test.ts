import assert from "node:assert/strict";
import pg from "pg";
import { TaskError } from "../../src/domain/kind.ts";
import { UNSTORED_HOLD_MS } from "../../src/engine/attempt/executor.ts";
import { openDatabase } from "../../src/store/database.ts";
import type { Store } from "../../src/store/database.ts";
import { migrate } from "../../src/store/migrate.ts";
import { listStalledTasks } from "../../src/store/session-queries.ts";
import { kindOf, outcomeOf, start, startRunning } from "../support/engine-tasks.ts";
import { startEngine } from "../support/engines.ts";
import type { TestEngine } from "../support/engines.ts";
import { eventually } from "../support/eventually.ts";
import { createRunning, outline } from "../support/new-tasks.ts";
import { createDatabase } from "../support/postgres.ts";
import type { TestDatabase } from "../support/postgres.ts";

/** An ordinary role, with the privileges that the owner of the tables grants. */
const ROLE = "spool_served";

/** Temporary trouble of a database that no task causes. */
interface Trouble {
  /** Options for the engine's connections. */
  options?: string;
  begin: string[];
  end: string[];
}

/** Raises an error for each event insert, or only for inserts that match the condition. */
function refusing(sqlstate: string, when = "true"): Trouble {
  return {
    begin: [
      `create function refuse() returns trigger language plpgsql as
         $$ begin raise exception 'refused' using errcode = '${sqlstate}'; end $$`,
      `create trigger refuse before insert on task_events for each row when (${when}) execute function refuse()`,
    ],
    end: ["drop trigger refuse on task_events", "drop function refuse"],
  };
}

const LOCKED = { begin: ["begin", "lock table task_events in share mode"], end: ["commit"] };

const TROUBLES: Record<string, Trouble> = {
  "a lock timeout": { options: "-c lock_timeout=200", ...LOCKED },
  "a statement timeout @slow": { options: "-c statement_timeout=400", ...LOCKED },
  "a revoked privilege @slow": {
    begin: [`revoke insert on task_events from ${ROLE}`],
    end: [`grant insert on task_events to ${ROLE}`],
  },
  "a full disk @slow": refusing("53100"),
  "an unknown error": refusing("ZZ999"),
  "a missing table @slow": {
    begin: ["alter table task_events rename to task_events_away"],
    end: ["alter table task_events_away rename to task_events"],
  },
};

describe("an engine whose database is in trouble", function () {
  this.timeout(60_000);
  let database: TestDatabase;
  let operator: pg.Client;

  before(async () => {
    database = await createDatabase();
    operator = new pg.Client(database.url);
    await operator.connect();
    const { rowCount } = await operator.query("select from pg_roles where rolname = $1", [ROLE]);
    if (rowCount === 0) await operator.query(`create role ${ROLE} login`);
    const store = await openDatabase({ url: database.url });
    await migrate(store.db);
    await store.close();
    await operator.query(`grant select, insert, update, delete on all tables in schema public to ${ROLE}`);
  });
  after(async () => {
    await operator?.end();
    await database?.[Symbol.asyncDispose]();
  });

  async function openServed(options = ""): Promise<Store & AsyncDisposable> {
    const url = new URL(database.url);
    url.username = ROLE;
    if (options !== "") url.searchParams.set("options", options);
    const store = await openDatabase({ url: url.href });
    return Object.assign(store, { [Symbol.asyncDispose]: () => store.close() });
  }

  const run = async (statements: readonly string[]) => {
    for (const statement of statements) await operator.query(statement);
  };

  /** Does work during trouble, which is over afterwards, also for later tests. */
  async function during<Result>(trouble: Trouble, work: () => Promise<Result>): Promise<Result> {
    await run(trouble.begin);
    try {
      return await work();
    } finally {
      await run(trouble.end);
    }
  }

  /** Starts a task, which is refused; or it waits, without an event yet, if a claim may take all free slots. */
  async function startIsRefused(engine: TestEngine): Promise<void> {
    const starting = start(engine);
    const taskId = await starting.catch(() => null);
    if (taskId === null) await assert.rejects(starting, { reason: "STORE_UNAVAILABLE", retryAfterMs: 1_000 });
    else assert.equal((await engine.getTask(taskId)).status, "pending");
  }

  /** Returns kinds whose code waits for the gate, and then ends in different ways. */
  function gatedKinds() {
    const gate = Promise.withResolvers<void>();
    const kinds = [
      kindOf("emits", async (task) => {
        await gate.promise;
        for (let step = 1; step <= 100; step++) await task.progress("step", step);
        return { steps: 100 };
      }),
      kindOf("returns", () => gate.promise.then(() => ({ returned: true }))),
      kindOf("fails", () => gate.promise.then(() => Promise.reject(new TaskError("NO_LUCK", "no")))),
      kindOf("retries", (task) =>
        task.attempt === 1 ? gate.promise.then(() => Promise.reject(new Error("once"))) : Promise.resolve({}),
      ),
      kindOf("cancelled", (task) => gate.promise.then(() => task.signal.throwIfAborted())),
    ];
    return { kinds, gate };
  }

  const unstored = (engine: TestEngine, count: number) =>
    eventually(() => assert.equal(engine.gauges().unstoredEnds, count));

  for (const [name, trouble] of Object.entries(TROUBLES)) {
    it(`ends each task as its code ended, with all events, after ${name}`, async () => {
      const { kinds, gate } = gatedKinds();
      await using store = await openServed(trouble.options);
      await using engine = await startEngine(store, { kinds });
      const ids = await Promise.all(kinds.map((kind) => startRunning(engine, { kind: kind.name, maxAttempts: 2 })));
      await engine.cancelTask(ids[4]!, { reason: "not wanted", by: null });
      await during(trouble, async () => {
        gate.resolve();
        await Promise.all([unstored(engine, kinds.length), startIsRefused(engine)]);
      });
      const outcomes = await Promise.all(ids.map((taskId) => outcomeOf(engine, taskId)));
      assert.deepEqual(
        outcomes.map(({ status, result, error }) => [status, result ?? error?.reason]),
        [
          ["succeeded", { steps: 100 }],
          ["succeeded", { returned: true }],
          ["failed", "NO_LUCK"],
          ["succeeded", {}],
          ["cancelled", "CANCELLED"],
        ],
      );
      assert.equal(outcomes[0]!.tape.length, 102);
      assert.deepEqual(outline(outcomes[3]!.tape), ["started", "retrying", "started", "final"]);
      await unstored(engine, 0);
    });
  }

  it("delays only the task that has trouble, reports it as stalled, and frees its slot", async () => {
    const { kinds, gate } = gatedKinds();
    await using store = await openServed();
    await using engine = await startEngine(store, { kinds, slots: 1 });
    const { namespace } = engine;
    const held = await startRunning(engine, { kind: "returns" });
    await during(refusing("ZZ999", `new.task_id = '${held}' and new.type = 'final'`), async () => {
      gate.resolve();
      const others = await Promise.all(["emits", "returns"].map((kind) => start(engine, { kind })));
      const outcomes = await Promise.all(others.map((taskId) => outcomeOf(engine, taskId)));
      assert.deepEqual(
        outcomes.map(({ status }) => status),
        ["succeeded", "succeeded"],
      );
      const [stalled, ...more] = await eventually(async () => {
        const found = await listStalledTasks(store.db, namespace);
        assert.ok(found[0]!.forMs > UNSTORED_HOLD_MS);
        return found;
      });
      assert.deepEqual([stalled!.taskId, stalled!.attempt, stalled!.pid, more], [held, 1, process.pid, []]);
    });
    assert.equal((await outcomeOf(engine, held)).status, "succeeded");
    await eventually(async () => assert.deepEqual(await listStalledTasks(store.db, namespace), []));
  });

  it("fails only the task whose content is refused, and no other task of the flush", async () => {
    const { kinds, gate } = gatedKinds();
    await using store = await openServed();
    await using engine = await startEngine(store, { kinds });
    const ids = await Promise.all(["emits", "emits", "returns"].map((kind) => startRunning(engine, { kind })));
    const trouble = refusing("23514", `new.task_id = '${ids[0]}' and new.type = 'progress'`);
    const outcomes = await during(trouble, () => {
      gate.resolve();
      return Promise.all(ids.map((taskId) => outcomeOf(engine, taskId)));
    });
    assert.deepEqual(
      outcomes.map(({ status, error }) => [status, error?.reason]),
      [
        ["failed", "KIND_FAILED"],
        ["succeeded", undefined],
        ["succeeded", undefined],
      ],
    );
  });

  it("fails a task whose end is refused because of its content", async () => {
    const kind = kindOf("fails", () => Promise.reject(new TaskError("NO_LUCK", "poison")));
    await using store = await openServed();
    await using engine = await startEngine(store, { kinds: [kind] });
    const trouble = refusing("22P05", "new.body::text like '%poison%'");
    const { status, error } = await during(trouble, async () =>
      outcomeOf(engine, await start(engine, { kind: "fails" })),
    );
    assert.deepEqual([status, error?.reason], ["failed", "KIND_FAILED"]);
  });

  it("sweeps the other tasks if one overdue task cannot be taken", async () => {
    await using store = await openServed();
    const { kinds } = gatedKinds();
    const dead = await startEngine(store, { kinds, leaseMs: 60_000 });
    const { namespace } = dead;
    const ids = [await startRunning(dead, { kind: "returns" }), await startRunning(dead, { kind: "returns" })];
    const trouble = refusing("ZZ999", `new.task_id = '${ids[0]}'`);
    await using engine = await during(trouble, async () => {
      await operator.query("delete from sessions where namespace = $1", [namespace]);
      const alive = await startEngine(store, { namespace });
      assert.equal((await outcomeOf(alive, ids[1]!)).error?.reason, "WORKER_LOST");
      assert.equal((await alive.getTask(ids[0]!)).status, "running");
      return alive;
    });
    assert.equal((await outcomeOf(engine, ids[0]!)).error?.reason, "WORKER_LOST");
    await dead.stop({ drainMs: 0, halt: AbortSignal.abort() });
  });

  it("ends tasks that its session owns and never ran when it stops in order", async () => {
    await using store = await openServed();
    const engine = await startEngine(store);
    const { namespace } = engine;
    const [{ session_id: lease }] = (
      await operator.query<{ session_id: string }>("select session_id from sessions where namespace = $1", [namespace])
    ).rows as [{ session_id: string }];
    const { taskId } = await createRunning(store.db, { namespace, lease });
    await engine.stop({ drainMs: 0, halt: new AbortController().signal });
    assert.equal((await engine.getTask(taskId)).status, "failed");
  });

  it("leaves no running task behind when it stops in order during trouble that passes", async () => {
    const { kinds, gate } = gatedKinds();
    await using store = await openServed();
    const engine = await startEngine(store, { kinds });
    const taskId = await startRunning(engine, { kind: "returns" });
    const { stopped } = await during(refusing("53100"), async () => {
      gate.resolve();
      await unstored(engine, 1);
      // Not awaited here: it ends when the trouble has passed.
      return { stopped: engine.stop({ drainMs: 0, halt: new AbortController().signal }) };
    });
    await stopped;
    assert.equal((await engine.getTask(taskId)).status, "succeeded");
  });
});
