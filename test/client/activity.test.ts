import assert from "node:assert/strict";
import { connect } from "../../src/client/client.ts";
import { openServed } from "../contract/served.ts";
import type { Served } from "../contract/served.ts";

describe("the activity of a server", () => {
  let served: Served;
  before(async () => {
    served = await openServed();
  });
  after(() => served?.[Symbol.asyncDispose]());

  it("counts the tasks of callers", async () => {
    using client = connect({ address: served.address });
    const { stage } = served;
    const done = stage.actor();
    const { task } = await client.start({ kind: "stage", params: done.params });
    const failed = stage.actor();
    const other = await client.start({ kind: "stage", params: failed.params });
    const runs = stage.actor();
    await client.start({ kind: "stage", params: runs.params });
    await runs.enter();
    done.leave();
    failed.fail(new Error("no"));
    for (const { taskId } of [task, other.task]) await client.waitFinal({ taskId, timeoutMs: 30_000 });
    await client.start({ kind: "echo", runAt: new Date(Date.now() + 60_000) });

    const { steps, stepMs, kinds } = await client.activity({ windowMs: 600_000, stepMs: 1_500 });
    assert.deepEqual([stepMs, steps.length], [1_500, 400]);
    for (const [index, { start }] of steps.entries()) {
      assert.equal(start.getTime(), steps[0]!.start.getTime() + index * 1_500);
    }
    const sum = (field: "started" | "succeeded" | "failed" | "cancelled") =>
      steps.reduce((total, step) => total + step[field], 0);
    assert.deepEqual([sum("started"), sum("succeeded"), sum("failed"), sum("cancelled")], [3, 1, 1, 0]);
    assert.equal(steps.at(-1)!.running, 1);

    const [echo, staged] = kinds;
    const none = { running: 0, succeeded: 0, failed: 0, cancelled: 0, durations: null };
    assert.deepEqual(echo, { kind: "echo", pending: 1, ...none });
    const { durations, ...counts } = staged!;
    assert.deepEqual(counts, { kind: "stage", pending: 0, running: 1, succeeded: 1, failed: 1, cancelled: 0 });
    const took = await Promise.all([task, other.task].map(({ taskId }) => client.result({ taskId })));
    const exact = took.map(({ startedAt, finishedAt }) => finishedAt!.getTime() - startedAt!.getTime());
    const [shorter, longer] = exact.sort((a, b) => a - b);
    // The start and end of these are truncated to a millisecond. The others are not, and may be 0.1 % longer.
    const bounds = (ms: number) => [ms - 1, ms * 1.001 + 1] as const;
    assertWithin(durations!.p50Ms, bounds(shorter!));
    assertWithin(durations!.p95Ms, bounds(longer!));
    assert.deepEqual((await client.activity({ kinds: ["echo"] })).kinds, [echo]);
    runs.leave();
  });

  it("is rejected past its bounds, with the field's name", async () => {
    using client = connect({ address: served.address });
    await assert.rejects(client.activity({ windowMs: 59_999 }), {
      code: "INVALID_ARGUMENT",
      violations: [{ field: "window", description: "must be 60 s to 24 h" }],
    });
    await assert.rejects(client.activity({ windowMs: NaN }), { code: "INVALID_ARGUMENT" });
    await assert.rejects(client.activity({ kinds: ["\ud800"] }), { code: "INVALID_ARGUMENT" });
  });
});

function assertWithin(value: number, [min, max]: readonly [min: number, max: number]): void {
  assert.ok(value >= min && value <= max, `${value} is not within ${min} and ${max}`);
}
