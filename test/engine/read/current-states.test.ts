import assert from "node:assert/strict";
import { StoreUnavailable, TaskNotFound } from "../../../src/domain/errors.ts";
import type { TaskState } from "../../../src/domain/task.ts";
import { CurrentStates, STATES_MAX } from "../../../src/engine/read/current-states.ts";

/** A store that answers each read when the test says so. */
function slowStore() {
  const reads: { taskIds: readonly string[]; answer: PromiseWithResolvers<TaskState[]> }[] = [];
  const states = new CurrentStates((taskIds) => {
    const answer = Promise.withResolvers<TaskState[]>();
    reads.push({ taskIds, answer });
    return answer.promise;
  });
  return { reads, states };
}

function stateOf(taskId: string, lastSeq = 1n): TaskState {
  return { taskId, status: "running", lastSeq };
}

/** Waits until the reads of this turn are sent and the answers have arrived. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe("CurrentStates", () => {
  it("shares one read among all calls of one turn of the event loop", async () => {
    const { reads, states } = slowStore();
    const all = ["one", "two", "one"].map((taskId) => states.read(taskId));
    await settled();
    assert.deepEqual(
      reads.map(({ taskIds }) => taskIds),
      [["one", "two"]],
    );
    reads[0]!.answer.resolve([stateOf("two", 2n), stateOf("one")]);
    assert.deepEqual(
      (await Promise.all(all)).map(({ lastSeq }) => lastSeq),
      [1n, 2n, 1n],
    );
  });

  it("never answers a call from a read that began before the call", async () => {
    const { reads, states } = slowStore();
    const first = states.read("one");
    await settled();
    const second = states.read("one");
    await settled();
    reads[0]!.answer.resolve([stateOf("one", 1n)]);
    reads[1]!.answer.resolve([stateOf("one", 2n)]);
    assert.deepEqual([(await first).lastSeq, (await second).lastSeq], [1n, 2n]);
  });

  it("lets further calls wait for one of two reads to end, and then shares one read among them", async () => {
    const { reads, states } = slowStore();
    const all: Promise<TaskState>[] = [];
    for (const taskId of ["one", "two", "three", "four"]) {
      all.push(states.read(taskId));
      await settled();
    }
    assert.equal(reads.length, 2);
    reads[1]!.answer.resolve([stateOf("two")]);
    await settled();
    assert.deepEqual(reads[2]!.taskIds, ["three", "four"]);
    reads[0]!.answer.resolve([stateOf("one")]);
    reads[2]!.answer.resolve(["three", "four"].map((taskId) => stateOf(taskId)));
    assert.equal((await Promise.all(all)).length, 4);
  });

  it("reads at most 1,000 tasks at once", async () => {
    const { reads, states } = slowStore();
    const all = Array.from({ length: STATES_MAX + 1 }, (_, index) => states.read(`${index}`));
    await settled();
    assert.deepEqual(
      reads.map(({ taskIds }) => taskIds.length),
      [1_000, 1],
    );
    for (const { taskIds, answer } of reads) answer.resolve(taskIds.map((taskId) => stateOf(taskId)));
    assert.equal((await Promise.all(all)).length, STATES_MAX + 1);
  });

  it("rejects for tasks that are not found, and for all tasks of a failed read, and then reads again", async () => {
    const { reads, states } = slowStore();
    const [found, missing] = [states.read("one"), states.read("two")];
    const isMissing = assert.rejects(missing, TaskNotFound);
    await settled();
    reads[0]!.answer.resolve([stateOf("one")]);
    await found;
    await isMissing;
    const failed = ["one", "two"].map((taskId) => assert.rejects(states.read(taskId), StoreUnavailable));
    await settled();
    reads[1]!.answer.reject(new StoreUnavailable(new Error("away")));
    await Promise.all(failed);
    const next = states.read("one");
    await settled();
    reads[2]!.answer.resolve([stateOf("one", 2n)]);
    assert.equal((await next).lastSeq, 2n);
  });
});
