import assert from "node:assert/strict";
import { CreateQueue, WAITING_CREATE_BYTES_MAX, WAITING_CREATES_MAX } from "../../../src/engine/write/create-queue.ts";
import type { Create } from "../../../src/engine/write/create-queue.ts";
import type { NewTask } from "../../../src/store/tasks/new-task.ts";
import { newTask } from "../../support/new-tasks.ts";

const MIB = 1024 * 1024;
const sized = (bytes: number): NewTask => ({ ...newTask({ namespace: "n" }), params: "x".repeat(bytes) });

describe("CreateQueue", () => {
  it("accepts starts up to a number, and refuses more until a flush takes some", async () => {
    const queue = new CreateQueue();
    const task = sized(2);
    for (let count = 0; count < WAITING_CREATES_MAX; count++) void queue.add(task, []);
    await assert.rejects(queue.add(task, []), { reason: "OVERLOADED" });
    const { creates, bytes } = queue.take(1);
    assert.deepEqual([creates.length, bytes], [1_024, 2_048]);
    void queue.add(task, []);
  });

  it("accepts starts up to a number of bytes, including the start that passes the bound", async () => {
    const queue = new CreateQueue();
    for (let bytes = 0; bytes < WAITING_CREATE_BYTES_MAX; bytes += MIB) void queue.add(sized(MIB), []);
    await assert.rejects(queue.add(sized(2), []), { reason: "OVERLOADED" });
    assert.equal(queue.take(1).bytes, 2 * MIB);
    void queue.add(sized(MIB), []);
    void queue.add(sized(MIB), []);
    await assert.rejects(queue.add(sized(2), []), { reason: "OVERLOADED" });
  });

  it("returns late starts, and the starts for a flush, in the order of their arrival", () => {
    const queue = new CreateQueue();
    const tasks = [sized(2), sized(2), sized(2)];
    for (const task of tasks) void queue.add(task, []);
    const idsOf = (creates: readonly Create[]) => creates.map(({ task }) => task.taskId);
    assert.deepEqual(queue.takeLate(0), []);
    const [first, ...others] = queue.takeLate(performance.now());
    assert.deepEqual(
      idsOf([first!, ...others]),
      tasks.map(({ taskId }) => taskId),
    );
    assert.ok(queue.isEmpty);
    for (const task of tasks) void queue.add(task, []);
    assert.deepEqual(
      idsOf(queue.take(1).creates),
      tasks.map(({ taskId }) => taskId),
    );
    assert.deepEqual([queue.isEmpty, queue.take(1)], [true, { creates: [], bytes: 0 }]);
  });
});
