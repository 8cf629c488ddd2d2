import assert from "node:assert/strict";
import type { EventType } from "../../src/domain/event.ts";
import { faultsOf } from "./support/tapes.ts";
import type { StoredEvent, StoredTape } from "./support/tapes.ts";
import { lostAttempts, numberFaults, storedFaults } from "./support/worker-checks.ts";
import type { WorkerNote } from "./support/worker-notes.ts";
import { endFaults, plannedTask } from "./support/worker-tasks.ts";

// A check that cannot fail finds nothing: each is shown a tape that is as it should be, and the same tape broken.

const TASK = "01930d5a-1111-7000-8000-000000000001";
const [PID, OTHER_PID] = [100, 200];

/** Two attempts, by a worker each: the first is lost after two events, the second succeeds with three. */
function soundTape(): StoredTape {
  const bodies: [EventType, Record<string, unknown>][] = [
    ["started", { attempt: 1 }],
    ["progress", step(1, { attempt: 1, pid: PID })],
    ["progress", step(2, { attempt: 1, pid: PID })],
    ["retrying", { error: { reason: "WORKER_LOST" } }],
    ["started", { attempt: 2 }],
    ...[1, 2, 3].map(
      (number) => ["progress", step(number, { attempt: 2, pid: OTHER_PID })] as [EventType, object & {}],
    ),
    ["final", { status: "succeeded", result: { emitted: 3 } }],
  ] as [EventType, Record<string, unknown>][];
  return {
    taskId: TASK,
    namespace: "default",
    kind: "worker-steps",
    status: "succeeded",
    attempt: 2,
    maxAttempts: 100,
    handovers: 0,
    lastSeq: bodies.length,
    requestId: "task-17",
    exclusiveKey: null,
    events: bodies.map(([type, body], index) => ({ seq: index + 1, type, body, timeUs: 1_000_000 * (index + 1) })),
  };
}

function step(number: number, mark: { attempt: number; pid: number }) {
  return { phase: "steps", current: number, total: 3, detail: { number, ...mark } };
}

const NOTES: WorkerNote[] = [
  { pid: PID, at: 900, type: "connected", sessionId: "a", resumed: false },
  { pid: PID, at: 1_000, type: "began", taskId: TASK, attempt: 1, running: 1 },
  { pid: PID, at: 3_000, type: "stored", taskId: TASK, attempt: 1, events: 2 },
  { pid: OTHER_PID, at: 5_000, type: "began", taskId: TASK, attempt: 2, running: 1 },
  { pid: OTHER_PID, at: 8_000, type: "stored", taskId: TASK, attempt: 2, events: 3 },
];

/** The tape with other events, its row to match. */
function altered(alter: (events: StoredEvent[]) => StoredEvent[]): StoredTape {
  const tape = soundTape();
  const events = alter(tape.events).map((event, index) => ({ ...event, seq: index + 1 }));
  return { ...tape, events, lastSeq: events.length };
}

const without = (seq: number) => (events: StoredEvent[]) => events.filter((event) => event.seq !== seq);
const twice = (seq: number) => (events: StoredEvent[]) => [...events.slice(0, seq), ...events.slice(seq - 1)];
const swapped = (seq: number) => (events: StoredEvent[]) =>
  events.with(seq - 1, events[seq]!).with(seq, events[seq - 1]!);

describe("the checks of the workers scenario", () => {
  it("find nothing on a sound tape", () => {
    const tape = soundTape();
    const faults = [faultsOf(tape), numberFaults(tape), storedFaults(tape, NOTES), endFaults(plannedTask(17), tape)];
    assert.deepEqual(faults.flat(), []);
  });

  it("find an event that was acknowledged to a worker and is not stored", () => {
    for (const seq of [3, 8]) assert.equal(storedFaults(altered(without(seq)), NOTES).length, 1);
    assert.equal(storedFaults(soundTape(), [{ ...NOTES[2]!, events: 3 } as WorkerNote]).length, 1);
    assert.equal(storedFaults(soundTape(), [{ ...NOTES[2]!, attempt: 3 } as WorkerNote]).length, 1);
  });

  it("find an event that is duplicated, out of order or missing", () => {
    assert.equal(storedFaults(altered(twice(2)), NOTES).length, 1);
    for (const alter of [twice(2), twice(8), swapped(2), without(2), without(6)]) {
      assert.notDeepEqual(numberFaults(altered(alter)), []);
    }
  });

  it("find an event of another attempt or process", () => {
    const of = (mark: object) =>
      altered((events) =>
        events.with(6, { ...events[6]!, body: { detail: { ...(events[6]!.body["detail"] as object), ...mark } } }),
      );
    assert.equal(numberFaults(of({ attempt: 1 })).length, 1);
    assert.equal(numberFaults(of({ pid: PID })).length, 1);
  });

  it("find a tape with a gap, without exactly one final at its end, or with another status than its task", () => {
    const [tape, gap] = [soundTape(), soundTape()];
    gap.events[4]!.seq = 50;
    for (const broken of [altered(twice(9)), altered(without(9)), altered(swapped(8)), gap]) {
      assert.notDeepEqual(faultsOf(broken), []);
    }
    assert.notDeepEqual(faultsOf({ ...tape, status: "failed" }), []);
    assert.notDeepEqual(faultsOf({ ...tape, status: "running" }), []);
  });

  it("find a task with a status that its plan does not allow", () => {
    const tape = soundTape();
    const cancelled = plannedTask(8);
    assert.ok(cancelled.isCancelled);
    assert.equal(endFaults(cancelled, tape).length, 1);
  });

  it("report why an attempt was lost", () => {
    const because = (notes: WorkerNote[], ends = new Map<number, Date>()) =>
      lostAttempts(soundTape(), notes, ends).map((lost) => lost.because);
    const connectedAt = (at: number): WorkerNote => ({
      pid: PID,
      at,
      type: "connected",
      sessionId: "b",
      resumed: false,
    });
    assert.deepEqual(because([]), ["never begun"]);
    assert.deepEqual(because(NOTES), ["none"]);
    assert.deepEqual(because(NOTES, new Map([[PID, new Date(3_500)]])), ["its worker was ended"]);
    assert.deepEqual(because(NOTES, new Map([[PID, new Date(9_000)]])), ["none"]);
    assert.deepEqual(because([...NOTES, connectedAt(4_500)]), ["its session was lost"]);
    const disconnectedAt = (at: number): WorkerNote => ({ pid: PID, at, type: "disconnected", message: "" });
    assert.deepEqual(because([...NOTES, disconnectedAt(3_500)]), ["its worker was away"]);
    assert.deepEqual(because([...NOTES, disconnectedAt(4_500)]), ["none"]);
  });
});
