import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import type { Kysely } from "kysely";
import { v7 as uuidv7 } from "uuid";
import { newEvent } from "../../src/domain/event.ts";
import type { NewEvent, TapeEvent } from "../../src/domain/event.ts";
import { digestJson } from "../../src/domain/canonical-json.ts";
import type { JsonObject } from "../../src/domain/json.ts";
import { digestRequest } from "../../src/domain/request-digest.ts";
import { resolveRetry } from "../../src/domain/retry.ts";
import type { Fence, TaskRequest } from "../../src/domain/task.ts";
import { readPage } from "../../src/store/tapes/event-queries.ts";
import { writeFlush } from "../../src/store/tapes/journal-statement.ts";
import type { NewTask } from "../../src/store/tasks/new-task.ts";
import type { Database } from "../../src/store/schema.ts";
import { taskRequest } from "./engines.ts";

type NewTaskOptions = {
  namespace: string;
  taskId?: string;
  lease?: string | null;
  exclusiveKey?: string | null;
  isUnvalidated?: boolean;
} & Partial<TaskRequest>;

/** A task as a start makes it: it waits to be claimed, unless a lease is given. */
export function newTask({
  namespace,
  taskId = uuidv7(),
  lease = null,
  exclusiveKey = null,
  isUnvalidated = false,
  ...request
}: NewTaskOptions): NewTask {
  const params: JsonObject = request.params ?? {};
  return {
    taskId,
    namespace,
    request: taskRequest(request),
    params: JSON.stringify(params),
    paramsDigest: digestJson(params),
    requestDigest: request.requestId ? digestRequest(taskRequest(request), digestJson(params)) : null,
    ...resolveRetry(taskRequest(request), {}),
    exclusiveKey,
    isUnvalidated,
    lease,
  };
}

/** Stores a task; one with a lease with its `started`, as running. */
export async function createTask(db: Kysely<Database>, options: NewTaskOptions): Promise<NewTask> {
  const task = newTask(options);
  const { applied } = await writeFlush(db, { creates: [{ task, events: startedOf(task) }], appends: [] });
  assert.equal(applied.length, 1, "the task was not stored");
  return task;
}

/** Stores a running task of a session that nobody keeps alive, and gives the right to write to it. */
export async function createRunning(db: Kysely<Database>, options: NewTaskOptions): Promise<Fence> {
  const lease = options.lease ?? randomUUID();
  const { taskId } = await createTask(db, { ...options, lease });
  return { taskId, lease, attempt: 1 };
}

/** Stores an ended task with `started`, steps and `final`, which ended some time ago. */
export async function createEnded(
  db: Kysely<Database>,
  { agoMs, events = 2, ...options }: NewTaskOptions & { agoMs: number; events?: number },
): Promise<string> {
  const fence = await createRunning(db, options);
  const append = { fence, appended: 0n, events: [...steps(1, events - 2), SUCCEEDED], end: "succeeded" } as const;
  await writeFlush(db, { creates: [], appends: [append] });
  await sql`update tasks set finished_at = now() - ${agoMs}::float8 * interval '1 millisecond'
    where task_id = ${fence.taskId}::uuid`.execute(db);
  return fence.taskId;
}

export function startedOf({ lease, request }: NewTask): NewEvent[] {
  return lease === null ? [] : [newEvent("started", { kind: request.kind, attempt: 1 })];
}

/** The events of some steps, to be told from one another. */
export function steps(first: number, last = first): NewEvent[] {
  return Array.from({ length: last - first + 1 }, (_, index) =>
    newEvent("progress", { phase: "step", current: first + index, total: 0 }),
  );
}

export const SUCCEEDED = newEvent("final", { status: "succeeded", result: {} });

/** A whole tape as it is stored. */
export async function storedTape(
  db: Kysely<Database>,
  { namespace, taskId }: { namespace: string; taskId: string },
): Promise<TapeEvent[]> {
  const events: TapeEvent[] = [];
  for (;;) {
    const fromSeq = BigInt(events.length) + 1n;
    const page = await readPage(db, { namespace, taskId, fromSeq, limit: 1_000 });
    events.push(...page.events);
    if (page.events.length === 0) return events;
  }
}

/** A tape in short: the steps by their numbers, everything else by its type. Checks that it is numbered 1, 2, 3, … */
export function outline(tape: readonly TapeEvent[]): (number | string)[] {
  assert.deepEqual(
    tape.map(({ seq }) => seq),
    tape.map((_, index) => BigInt(index) + 1n),
  );
  return tape.map(({ type, body }) => {
    const { current, phase } = JSON.parse(body) as { current?: number; phase?: string };
    return type === "progress" && phase === "step" ? current! : type;
  });
}
