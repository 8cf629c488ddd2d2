import type { JsonObject } from "../../src/domain/json.ts";
import type { SessionState } from "../../src/domain/session.ts";
import type { TaskStatus } from "../../src/domain/task.ts";
import { readEvents } from "../support/server-sent-events.ts";
import { DoorError, doorTask } from "./door.ts";
import type { Door, DoorEvent, DoorNews, DoorTask, StartOptions } from "./door.ts";
import { openServed } from "./served.ts";
import type { Served } from "./served.ts";

// Connect's JSON and server-sent events by fetch alone, read as their definitions say: nothing of Spool's or Connect's.

/** A message in proto3's JSON: what is zero, empty or false is not there. */
// eslint-disable-next-line typescript/no-explicit-any
type Json = Record<string, any>;

/** Connect with JSON. @param served where; by default a server of its own */
export async function openJsonDoor(served?: Served): Promise<Door> {
  return jsonDoor(served ?? (await openServed()));
}

function jsonDoor(served: Served): Door {
  const call = (method: string, request: Json) => callUnary(`${served.url}/spool.v1.${method}`, request);
  const stream = (method: string, request: Json) => callStream(`${served.url}/spool.v1.${method}`, request);
  return {
    stage: served.stage,
    async start(options) {
      const { task, alreadyStarted = false } = await call("TaskService/StartTask", toStartRequest(options));
      return { task: toDoorTask(task), alreadyStarted };
    },
    get: async (taskId) => toDoorTask((await call("TaskService/GetTask", { taskId })).task),
    async *list({ statuses = [], ...filter }) {
      const wanted = statuses.map((status) => `TASK_STATUS_${status.toUpperCase()}`);
      for (let pageToken = ""; ;) {
        const { tasks = [], nextPageToken = "" } = await call("TaskService/ListTasks", {
          ...filter,
          statuses: wanted,
          pageToken,
        });
        yield* tasks.map(toDoorTask);
        pageToken = nextPageToken;
        if (pageToken === "") return;
      }
    },
    async cancel(taskId, reason = "") {
      const { task, outcome } = await call("TaskService/CancelTask", { taskId, reason });
      return { status: toStatus(task.status), outcome: outcome.replace("CANCEL_OUTCOME_", "").toLowerCase() };
    },
    async events({ waitMs, fromSeq, ...query }) {
      const {
        status,
        events = [],
        nextFromSeq,
        lastSeq,
        hasMore,
      } = await call("TaskService/GetEvents", {
        ...query,
        ...position(fromSeq),
        ...(waitMs === undefined ? {} : { wait: toDuration(waitMs) }),
      });
      return {
        status: toStatus(status),
        events: events.map(toDoorEvent),
        nextFromSeq: BigInt(nextFromSeq),
        lastSeq: BigInt(lastSeq ?? 0),
        hasMore: hasMore ?? false,
      };
    },
    async *follow({ taskId, fromSeq }) {
      for await (const { events = [] } of stream("TaskService/StreamEvents", { taskId, ...position(fromSeq) })) {
        yield* events.map(toDoorEvent);
      }
    },
    async *followTasks({ view = "events", ...query }) {
      const wanted = { ...query, view: `FOLLOW_VIEW_${view.toUpperCase()}` };
      for await (const frame of stream("TaskService/FollowTasks", wanted)) yield toDoorNews(frame);
    },
    async result({ taskId, waitMs = 0 }) {
      const { status, result, error, startedAt } = await call("TaskService/GetResult", {
        taskId,
        wait: toDuration(waitMs),
      });
      const told = error && { reason: error.reason, message: error.message };
      return { status: toStatus(status), result, error: told, isStarted: startedAt !== undefined };
    },
    async sessions() {
      const { sessions = [], hasMore = false } = await call("WorkerService/ListSessions", {});
      return { sessions: sessions.map(toDoorSession), hasMore };
    },
    [Symbol.asyncDispose]: () => served[Symbol.asyncDispose](),
  };
}

/** Server-sent events for what is followed, and Connect with JSON for the rest. */
export async function openSseDoor(at?: Served): Promise<Door> {
  const served = at ?? (await openServed());
  return {
    ...jsonDoor(served),
    async *follow({ taskId, fromSeq }) {
      const query = fromSeq === undefined ? "" : `?from_seq=${fromSeq}`;
      for await (const { id, data } of listen(`${served.url}/v1/tasks/${taskId}/events${query}`)) {
        const event = toDoorEvent(JSON.parse(data!));
        if (id !== `${event.seq}`) throw new Error(`the event with id ${id} is ${event.seq}`);
        yield event;
      }
    },
    async *followTasks({ labels = {}, cursor, fromStart = false, view = "events" }) {
      const query = new URLSearchParams({ from_start: `${fromStart}`, view });
      for (const [key, value] of Object.entries(labels)) query.append("label", `${key}=${value}`);
      const headers: Record<string, string> = cursor === undefined ? {} : { "last-event-id": cursor };
      for await (const { id, data = "{}" } of listen(`${served.url}/v1/events?${query.toString()}`, headers)) {
        yield toDoorNews({ ...JSON.parse(data), nextCursor: id });
      }
    },
  };
}

async function* listen(url: string, headers: Record<string, string> = {}) {
  const leaving = new AbortController();
  try {
    const response = await fetch(url, { headers, signal: leaving.signal });
    if (response.status >= 400) throw toDoorError((await response.json()) as Json);
    for await (const event of readEvents(response)) {
      if (event.event === "error") throw toDoorError(JSON.parse(event.data!));
      yield event;
    }
  } finally {
    leaving.abort();
  }
}

async function callUnary(url: string, request: Json): Promise<Json> {
  const headers = { "content-type": "application/json" };
  const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(request) });
  const answer = (await response.json()) as Json;
  if (response.status === 200) return answer;
  throw toDoorError(answer);
}

/** Each message has five bytes before it: its flags, of which 2 stands for the end, and its length. */
async function* callStream(url: string, request: Json): AsyncGenerator<Json> {
  const leaving = new AbortController();
  const message = Buffer.from(JSON.stringify(request));
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/connect+json" },
      body: Buffer.concat([head, message]),
      signal: leaving.signal,
    });
    let bytes = Buffer.alloc(0);
    for await (const chunk of response.body!) {
      bytes = Buffer.concat([bytes, chunk]);
      while (bytes.length >= 5 && bytes.length >= 5 + bytes.readUInt32BE(1)) {
        const end = 5 + bytes.readUInt32BE(1);
        const content = JSON.parse(bytes.toString("utf8", 5, end)) as Json;
        if (bytes[0] === 0) yield content;
        else if (content["error"] !== undefined) throw toDoorError(content["error"]);
        else return;
        bytes = bytes.subarray(end);
      }
    }
    throw new Error("the stream has ended without its end");
  } finally {
    leaving.abort();
  }
}

function toDoorError({ message, details }: Json): Error {
  if (details === undefined) return new Error(message);
  const told = (type: string) => details.find((detail: Json) => detail["type"] === `google.rpc.${type}`)?.debug;
  const fields = (told("BadRequest")?.fieldViolations ?? []).map(({ field }: Json) => field);
  const { reason, metadata = {} } = told("ErrorInfo");
  return new DoorError(reason, fields, metadata);
}

function toDuration(ms: number): string {
  return `${ms / 1_000}s`;
}

function fromDuration(text: string): number {
  return Math.round(Number(text.slice(0, -1)) * 1_000);
}

function position(fromSeq: bigint | undefined): Json {
  return fromSeq === undefined ? {} : { fromSeq: `${fromSeq}` };
}

function toStatus(name: string): TaskStatus {
  return name.replace("TASK_STATUS_", "").toLowerCase() as TaskStatus;
}

function toDate(text: string | undefined): Date | null {
  return text === undefined ? null : new Date(text);
}

function toStartRequest({ timeoutMs, retryPolicy, ...rest }: StartOptions): Json {
  const { initialBackoffMs, maxBackoffMs, ...factors } = retryPolicy ?? {};
  const backoffs = {
    ...(initialBackoffMs === undefined ? {} : { initialBackoff: toDuration(initialBackoffMs) }),
    ...(maxBackoffMs === undefined ? {} : { maxBackoff: toDuration(maxBackoffMs) }),
  };
  return {
    ...rest,
    ...(timeoutMs === undefined ? {} : { timeout: toDuration(timeoutMs) }),
    ...(retryPolicy === undefined ? {} : { retryPolicy: { ...backoffs, ...factors } }),
  };
}

function toDoorTask(task: Json): DoorTask {
  const { initialBackoff, maxBackoff, backoffMultiplier, jitter = 0 } = task["retryPolicy"];
  return doorTask({
    taskId: task["taskId"],
    kind: task["kind"],
    status: toStatus(task["status"]),
    lastSeq: BigInt(task["lastSeq"] ?? 0),
    labels: task["labels"] ?? {},
    startedAt: toDate(task["startedAt"]),
    runAt: toDate(task["runAt"]),
    deadlineAt: toDate(task["deadlineAt"]),
    attemptDeadlineAt: toDate(task["attemptDeadlineAt"]),
    maxAttempts: task["maxAttempts"],
    handovers: task["handovers"] ?? 0,
    retryPolicy: {
      initialBackoffMs: fromDuration(initialBackoff),
      maxBackoffMs: fromDuration(maxBackoff),
      backoffMultiplier,
      jitter,
    },
    awaitsWorker: task["awaitsWorker"] ?? false,
  });
}

function toDoorNews({ tasks = [], nextCursor }: Json): DoorNews {
  return {
    tasks: tasks.map(({ taskId, kind, events = [], task, progress }: Json) => {
      const latest = progress === undefined ? null : toProgress(progress);
      const state = task === undefined ? null : { status: toStatus(task.status), progress: latest };
      return { taskId, kind, events: events.map(toDoorEvent), state };
    }),
    cursor: nextCursor,
  };
}

const TYPES: Record<string, (body: Json) => JsonObject> = {
  started: ({ kind, attempt }) => ({ kind, attempt }),
  progress: toProgress,
  log: ({ level, message = "" }) => ({ level: level.replace("LOG_LEVEL_", ""), message }),
  partial: ({ kind, payload }) => ({ kind, payload }),
  cancelRequested: ({ reason = "" }) => ({ reason }),
  retrying: () => ({}),
  final: ({ status, result, error }) => ({
    status: toStatus(status),
    ...(error === undefined ? { result } : { error: { reason: error.reason, message: error.message } }),
  }),
};

function toDoorEvent(event: Json): DoorEvent {
  const [type, toBody] = Object.entries(TYPES).find(([name]) => name in event)!;
  return {
    seq: BigInt(event["seq"]),
    type: type.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    body: toBody(event[type]),
  };
}

function toProgress({ phase, current = "0", total = "0", detail }: Json): JsonObject {
  const counted = { phase, current: Number(current), total: Number(total) };
  return detail === undefined ? counted : { ...counted, detail };
}

function toDoorSession({ startedAt, seenAt, expiresAt, ...session }: Json): SessionState {
  const times = { startedAt: new Date(startedAt), seenAt: new Date(seenAt), expiresAt: new Date(expiresAt) };
  return { kinds: [], capacity: 0, running: 0, isWorker: false, ...session, ...times } as unknown as SessionState;
}
