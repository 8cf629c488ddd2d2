import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import { claimTasks } from "../../../src/store/tasks/claim-statement.ts";
import { writeFlush } from "../../../src/store/tapes/journal-statement.ts";
import { newTask } from "../../support/new-tasks.ts";
import { describeOnEachStore } from "../../support/stores.ts";

const QUEUE = 20_000;
const FLUSH = 2_000;

/** Tasks that wait for one key, so many that to compare each with each would take longer than a statement may. */
describeOnEachStore("a claim beside a long queue on one key", (store) => {
  const namespace = randomUUID();

  const db = () => store().db;
  const queue = async (count: number, options: Omit<Parameters<typeof newTask>[0], "namespace"> = {}) => {
    const tasks = Array.from({ length: count }, () => newTask({ namespace, exclusiveKey: "key", ...options }));
    for (let from = 0; from < count; from += FLUSH) {
      const creates = tasks.slice(from, from + FLUSH).map((task) => ({ task, events: [] }));
      assert.equal((await writeFlush(db(), { creates, appends: [] })).applied.length, creates.length);
    }
    return tasks.map(({ taskId }) => taskId);
  };
  const claim = async (limit: number) => {
    const { tasks } = await claimTasks(db(), { namespace, kinds: ["echo"], lease: randomUUID(), limit });
    return tasks.map(({ taskId }) => taskId);
  };
  it("takes the oldest due task of the key, and tasks without a key behind the queue, with and without statistics", async () => {
    await queue(QUEUE / 2, { runAt: new Date(Date.now() + 3_600_000) });
    const due = await queue(QUEUE / 2);
    const free = await queue(3, { exclusiveKey: null });
    assert.deepEqual(await claim(2), [due[0], free[0]]);
    await sql`analyze tasks`.execute(db()); // From here on it is planned by statistics.
    assert.deepEqual(await claim(9), free.slice(1));
    await db().deleteFrom("task_exclusives").where("namespace", "=", namespace).execute();
    assert.deepEqual(await claim(9), [due[1]]);
  });
});
