import * as fc from "fast-check";
import { archiveLine, headerLine } from "../../src/archive/archive-lines.ts";
import type { ArchiveHeader } from "../../src/archive/archive-lines.ts";
import { fromTapeEvent, toEventJson } from "../../src/archive/event-json.ts";
import { TaskDigest } from "../../src/archive/task-digest.ts";
import { toTaskJson } from "../../src/archive/task-json.ts";
import { digestJson } from "../../src/domain/canonical-json.ts";
import { newEvent } from "../../src/domain/event.ts";
import type { TapeEvent } from "../../src/domain/event.ts";
import { DEFAULT_RETRY_POLICY } from "../../src/domain/retry.ts";
import type { TaskView } from "../../src/domain/task.ts";
import { recordedEvent } from "../codec/arbitrary-events.ts";

export const HEADER: ArchiveHeader = {
  asked: { since: null, until: null, kinds: [], labels: {} },
  startedAt: new Date("2027-01-02T00:00:00Z"),
  since: null,
  until: new Date("2027-01-02T00:00:00Z"),
};

export interface EndedTask {
  task: TaskView;
  events: TapeEvent[];
}

/** Returns an ended task with some events before `final`. @param number makes ids, the higher the newer */
export function endedTask(number: number, events: readonly TapeEvent[]): EndedTask {
  const taskId = `01900000-0000-7000-8000-${String(number).padStart(12, "0")}`;
  const params = { number, ümlaut: "😀 \0", nested: { z: [1e300, -0.5, null], a: "" } };
  const time = new Date("2027-01-01T12:34:56.789Z");
  const final = newEvent("final", { status: "succeeded", result: { b: 1, a: [0.1, null] } });
  const tape = [...events, { ...final, time }].map((event, index) => ({ ...event, seq: BigInt(index + 1) }));
  const task: TaskView = {
    taskId,
    kind: "echo",
    status: "succeeded",
    params,
    paramsDigest: digestJson(params),
    labels: { team: "search" },
    requestId: null,
    createdAt: time,
    startedAt: time,
    finishedAt: time,
    runAt: null,
    deadlineAt: null,
    attemptDeadlineAt: null,
    timeoutMs: 1_500,
    retentionMs: 86_400_000,
    attempt: 1,
    maxAttempts: 2,
    handovers: 0,
    retryPolicy: DEFAULT_RETRY_POLICY,
    cancelRequestedAt: null,
    startedBy: number % 2 === 0 ? null : "ingest",
    cancelledBy: null,
    awaitsWorker: false,
    lastSeq: BigInt(tape.length),
  };
  return { task, events: tape };
}

/** The clock of a database. */
const time = fc.date({ min: new Date("2020-01-01"), max: new Date("2200-01-01"), noInvalidDate: true });

/** The events of a tape before `final`. */
export const middleEvents = fc.array(
  fc
    .tuple(recordedEvent, time)
    .filter(([{ type }]) => type !== "final")
    .map(([event, at]) => ({ ...event, time: at })),
  { maxLength: 6 },
);

/** Returns the lines of a task, as an export writes them. */
function linesOf({ task, events }: EndedTask): string[] {
  const json = toTaskJson(task);
  const messages = events.map((event) => toEventJson(fromTapeEvent(event)));
  const digest = new TaskDigest(json);
  digest.add(messages);
  return [
    archiveLine("task", json),
    ...messages.map((message) => archiveLine("event", message)),
    archiveLine("end", { taskId: task.taskId, events: events.length, sha256: digest.end() }),
  ];
}

/** Returns the lines of a whole file. */
export function fileOf(tasks: readonly EndedTask[]): string[] {
  const events = tasks.reduce((sum, task) => sum + task.events.length, 0);
  return [headerLine(HEADER), ...tasks.flatMap(linesOf), archiveLine("footer", { tasks: tasks.length, events })];
}
