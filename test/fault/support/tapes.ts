import { isDeepStrictEqual } from "node:util";
import pg from "pg";
import type { SpoolEvent } from "../../../src/client/client.ts";
import type { EventType } from "../../../src/domain/event.ts";
import { isTerminal } from "../../../src/domain/task.ts";
import type { TaskStatus } from "../../../src/domain/task.ts";

/** A task and its whole tape, as the database has them: read past the service, to check it. */
export interface StoredTape {
  taskId: string;
  namespace: string;
  kind: string;
  status: TaskStatus;
  attempt: number;
  maxAttempts: number;
  handovers: number;
  lastSeq: number;
  requestId: string | null;
  exclusiveKey: string | null;
  events: StoredEvent[];
}

export interface StoredEvent {
  seq: number;
  type: EventType;
  body: Record<string, unknown>;
  /** Microseconds, for a clock of milliseconds has ties. */
  timeUs: number;
}

/** Every task of the database with its tape, of one snapshot, by id. The URL may name a schema, as a server's may. */
export async function readTapes(url: string): Promise<Map<string, StoredTape>> {
  const client = new pg.Client(url);
  await client.connect();
  const schema = new URL(url).searchParams.get("schema");
  try {
    if (schema !== null) await client.query(`set search_path to "${schema}"`);
    await client.query("begin isolation level repeatable read");
    const tasks = await client.query<Omit<StoredTape, "events">>(
      `select task_id "taskId", namespace, kind, status, attempt, max_attempts "maxAttempts", handovers, last_seq::float "lastSeq",
              request_id "requestId", exclusive_key "exclusiveKey" from tasks`,
    );
    const events = await client.query<StoredEvent & { taskId: string }>(
      `select task_id "taskId", seq::float, type, body, (extract(epoch from time) * 1e6)::float "timeUs"
       from tape_events order by task_id, seq`,
    );
    const tapes = new Map(tasks.rows.map((task) => [task.taskId, { ...task, events: [] as StoredEvent[] }]));
    for (const { taskId, ...event } of events.rows) {
      const tape = tapes.get(taskId);
      if (tape === undefined) throw new Error(`event ${event.seq} of task ${taskId} belongs to no task`);
      tape.events.push(event);
    }
    return tapes;
  } finally {
    await client.end();
  }
}

/** What is wrong with a tape that should have ended; empty where nothing is. */
export function faultsOf(tape: StoredTape): string[] {
  const { events, status, lastSeq } = tape;
  const faults: string[] = [];
  if (!isTerminal(status)) faults.push(`it is ${status}`);
  if (events.some(({ seq }, index) => seq !== index + 1)) faults.push("its seqs are not 1, 2, 3, …");
  if (lastSeq !== events.length) faults.push(`last_seq is ${lastSeq} with ${events.length} events`);
  const finals = events.filter(({ type }) => type === "final");
  if (finals.length !== 1 || events.at(-1)?.type !== "final") faults.push(`${finals.length} final, or not the last`);
  if (finals[0]?.body["status"] !== status)
    faults.push(`it is ${status}, final says ${String(finals[0]?.body["status"])}`);
  return [...faults, ...attemptFaults(tape)];
}

/**
 * Attempts ascend by one, one at a time; all that an attempt emits lies within it, in the order of its code, from the
 * step of the last checkpoint on.
 */
function attemptFaults({ events, attempt: attempts, status }: StoredTape): string[] {
  const faults: string[] = [];
  let attempt = 0;
  let isRunning = false;
  let step = 0;
  let checkpoint = 0;
  let asked = 0;
  for (const { seq, type, body } of events) {
    switch (type) {
      case "started":
        if (isRunning || body["attempt"] !== attempt + 1)
          faults.push(`event ${seq} starts attempt ${String(body["attempt"])}`);
        attempt++;
        isRunning = true;
        step = checkpoint;
        break;
      case "retrying":
        if (!isRunning) faults.push(`event ${seq}: retrying, with no attempt under way`);
        isRunning = false;
        break;
      case "cancel_requested":
        asked++;
        if (!isRunning) faults.push(`event ${seq}: cancel_requested, with no attempt under way`);
        break;
      case "final":
        if (body["status"] !== "succeeded") break;
        if (!isRunning) faults.push(`event ${seq}: it succeeded with no attempt under way`);
        if (stepsSaid(body) !== null && stepsSaid(body) !== step)
          faults.push(`${step} steps, but the code emitted ${stepsSaid(body)}`);
        break;
      default:
        if (!isRunning) faults.push(`event ${seq}: ${type}, with no attempt under way`);
        if (type === "progress" && body["current"] !== ++step)
          faults.push(`event ${seq} is step ${String(body["current"])}, not ${step}`);
        if (type === "partial" && body["kind"] === "checkpoint")
          checkpoint = Number((body["payload"] as { step: number }).step);
    }
    if (asked > 0 && (type === "started" || type === "retrying")) faults.push(`event ${seq}: ${type}, after a cancel`);
  }
  if (asked > 1) faults.push(`cancel_requested ${asked} times`);
  if (attempt !== attempts) faults.push(`${attempt} attempts on its tape, ${attempts} in its row (${status})`);
  return faults;
}

/** How many steps the code says that it has emitted. */
function stepsSaid({ result }: Record<string, unknown>): number | null {
  const { emitted, echoed } = result as { emitted?: number; echoed?: number };
  return emitted ?? echoed ?? null;
}

/** Attempts of tasks with the same exclusive key that ran at the same time. */
export function overlaps(tapes: Iterable<StoredTape>): string[] {
  const byKey = Map.groupBy(
    [...tapes].filter(({ exclusiveKey }) => exclusiveKey !== null).flatMap(attemptsOf),
    ({ key }) => key,
  );
  return [...byKey].flatMap(([key, attempts]) => {
    const ordered = attempts.toSorted((one, other) => one.fromUs - other.fromUs);
    return ordered.flatMap(({ fromUs, taskId }, index) => {
      const before = ordered[index - 1];
      const isOverlap = before !== undefined && before.toUs > fromUs;
      return isOverlap ? [`${key}: ${taskId} began ${before.toUs - fromUs} µs before ${before.taskId} ended`] : [];
    });
  });
}

function attemptsOf({ taskId, exclusiveKey, events }: StoredTape) {
  const starts = events.filter(({ type }) => type === "started");
  return starts.map(({ seq, timeUs: fromUs }) => {
    const end = events.find((event) => event.seq > seq && (event.type === "retrying" || event.type === "final"));
    return { key: exclusiveKey!, taskId, fromUs, toUs: end?.timeUs ?? Infinity };
  });
}

/** What is wrong with what a follower was given of a whole tape: it must be the tape, each event once and in order. */
export function followerFaults(seen: readonly SpoolEvent[], tape: StoredTape): string[] {
  if (seen.length !== tape.events.length) return [`a follower saw ${seen.length} of ${tape.events.length} events`];
  return seen.flatMap((event, index) => {
    const { seq, time, type, ...rest } = event;
    const stored = tape.events[index]!;
    const body =
      "nextAttemptAt" in rest ? { error: rest.error, next_attempt_at: rest.nextAttemptAt.toISOString() } : rest;
    const isSame =
      seq === BigInt(stored.seq) &&
      type === stored.type &&
      time.getTime() === Math.floor(stored.timeUs / 1_000) &&
      isDeepStrictEqual(JSON.parse(JSON.stringify(body)), stored.body);
    return isSame ? [] : [`a follower saw event ${stored.seq} as ${JSON.stringify(body)}, seq ${seq}`];
  });
}
