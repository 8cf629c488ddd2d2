import type { StartRequest } from "../../../src/client/client.ts";
import type { TaskStatus } from "../../../src/domain/task.ts";
import type { StoredTape } from "./tapes.ts";
import { KIND_NAMES } from "./worker-kinds.ts";

const ATTEMPTS_MANY = 100;
const EXCLUSIVE_KEYS = 8;

/** A task of the scenario, and how it may end. */
export interface PlannedTask {
  request: StartRequest & { requestId: string };
  isCancelled: boolean;
  /** The statuses that it may end with, each with the reason of its error. */
  ends: readonly `${TaskStatus} ${string}`[];
}

/** What the nth task is. */
export function plannedTask(index: number): PlannedTask {
  const { isCancelled = false, ends, ...request } = shapeOf(index);
  return { request: { ...request, requestId: `task-${index}` }, isCancelled, ends };
}

type Shape = Pick<PlannedTask, "ends"> & { isCancelled?: boolean } & StartRequest;

function shapeOf(index: number): Shape {
  const [SUCCEEDED, LOST, STOPPED, FAILED, CANCELLED] = [
    "succeeded ",
    "failed WORKER_LOST",
    "failed SERVER_SHUTDOWN",
    "failed NOT_YET",
    "cancelled CANCELLED",
  ] as const;
  switch (index % 20) {
    case 0: // Lost with its worker, where that dies or is told to stop.
      return {
        kind: KIND_NAMES.steps,
        params: { steps: 30, every_ms: 60 },
        maxAttempts: 1,
        ends: [SUCCEEDED, LOST, STOPPED],
      };
    case 1: // Handed on by a worker that is told to stop, and lost with one that dies.
      return { kind: KIND_NAMES.resumable, params: { steps: 40, every_ms: 50 }, ends: [SUCCEEDED, LOST] };
    case 2:
    case 3:
      return { kind: KIND_NAMES.resumable, params: { steps: 60, every_ms: 40 }, ...many(), ends: [SUCCEEDED] };
    case 4: // Faster than they can be stored.
      return { kind: KIND_NAMES.steps, params: { steps: 3_000, every_ms: 0 }, ...many(), ends: [SUCCEEDED] };
    case 5: {
      const params = { steps: 5, every_ms: 20, failing_attempts: index % 3, for_good: false };
      return { kind: KIND_NAMES.flaky, params, ...many(), ends: [SUCCEEDED] };
    }
    case 6: {
      const params = { steps: 5, every_ms: 20, failing_attempts: ATTEMPTS_MANY, for_good: false };
      return { kind: KIND_NAMES.flaky, params, maxAttempts: 3, ends: [FAILED, LOST, STOPPED] };
    }
    case 7: {
      const params = { steps: 5, every_ms: 20, failing_attempts: ATTEMPTS_MANY, for_good: true };
      return { kind: KIND_NAMES.flaky, params, ...many(), ends: [FAILED] };
    }
    case 8:
      return { kind: KIND_NAMES.steps, params: { steps: 400, every_ms: 50 }, ...many(), ...cancelled() };
    case 9:
      return { kind: KIND_NAMES.stubborn, params: { steps: 400, every_ms: 50 }, ...many(), ...cancelled() };
    case 10: {
      const params = { steps: 10, every_ms: 20, key: `key-${Math.floor(index / 20) % EXCLUSIVE_KEYS}` };
      return { kind: KIND_NAMES.exclusive, params, ...many(), ends: [SUCCEEDED] };
    }
    case 11:
      return { kind: "python-steps", params: { steps: 400, every_ms: 50 }, ...many(), ...cancelled() };
    case 12:
      return {
        kind: "python-steps",
        params: { steps: 30, every_ms: 60 },
        maxAttempts: 1,
        ends: [SUCCEEDED, LOST, STOPPED],
      };
    case 13:
      return { kind: "python-resumable", params: { steps: 60, every_ms: 40 }, ...many(), ends: [SUCCEEDED] };
    case 14:
      return { kind: "python-steps", params: { steps: 300, every_ms: 0 }, ...many(), ends: [SUCCEEDED] };
    case 15:
    case 16:
      return { kind: "python-steps", params: { steps: 20, every_ms: 50 }, ...many(), ends: [SUCCEEDED] };
    default:
      return {
        kind: KIND_NAMES.steps,
        params: { steps: 30, every_ms: 10 * (index % 7) },
        ...many(),
        ends: [SUCCEEDED],
      };
  }

  function many() {
    return { maxAttempts: ATTEMPTS_MANY };
  }
  function cancelled() {
    return { isCancelled: true, ends: [CANCELLED] };
  }
}

/** What is wrong with how a task has ended. */
export function endFaults({ ends }: PlannedTask, { status, events }: StoredTape): string[] {
  const error = events.at(-1)?.body["error"] as { reason: string } | undefined;
  const end = `${status} ${error?.reason ?? ""}` as const;
  return ends.includes(end) ? [] : [`it ended as "${end}", not as ${ends.join(" or ")}`];
}
