import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { DescMethod, JsonObject, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { anyIs, anyUnpack, durationFromMs, durationMs, timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Client, credentials } from "@grpc/grpc-js";
import type { ServiceError } from "@grpc/grpc-js";
import { BadRequestSchema, ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../src/gen/google/rpc/status_pb.ts";
import { LogLevel } from "../../src/gen/spool/v1/event_pb.ts";
import type { Event } from "../../src/gen/spool/v1/event_pb.ts";
import { TaskStatus } from "../../src/gen/spool/v1/task_pb.ts";
import type { Task } from "../../src/gen/spool/v1/task_pb.ts";
import { CancelOutcome, FollowView, TaskService } from "../../src/gen/spool/v1/task_service_pb.ts";
import type { FollowedTask, StartTaskRequestSchema } from "../../src/gen/spool/v1/task_service_pb.ts";
import { WorkerService } from "../../src/gen/spool/v1/worker_service_pb.ts";
import type { Session } from "../../src/gen/spool/v1/worker_service_pb.ts";
import type { SessionState } from "../../src/domain/session.ts";
import type { TaskStatus as Status } from "../../src/domain/task.ts";
import { DoorError, doorTask } from "./door.ts";
import type { Door, DoorEvent, DoorNews, DoorTask, StartOptions } from "./door.ts";
import { openServed } from "./served.ts";

/** Bare grpc-js and the messages of the proto: what the wire says, without Spool's own client. */
export async function openGrpcDoor(): Promise<Door> {
  const served = await openServed();
  const wire = openWire(served.address);
  const { method } = TaskService;
  return {
    stage: served.stage,
    async start(options) {
      const { task, alreadyStarted } = await wire.unary(method.startTask, toStartRequest(options));
      return { task: toDoorTask(task!), alreadyStarted };
    },
    get: async (taskId) => toDoorTask((await wire.unary(method.getTask, { taskId })).task!),
    async *list({ statuses = [], ...filter }) {
      for (let pageToken = ""; ;) {
        const wanted = statuses.map((status) => TaskStatus[status.toUpperCase() as keyof typeof TaskStatus]);
        const page = await wire.unary(method.listTasks, { ...filter, statuses: wanted, pageToken });
        yield* page.tasks.map(toDoorTask);
        pageToken = page.nextPageToken;
        if (pageToken === "") return;
      }
    },
    async cancel(taskId, reason = "") {
      const { task, outcome } = await wire.unary(method.cancelTask, { taskId, reason });
      return { status: nameOf(TaskStatus, task!.status) as Status, outcome: nameOf(CancelOutcome, outcome) };
    },
    async events({ waitMs, ...query }) {
      const wait = waitMs === undefined ? {} : { wait: durationFromMs(waitMs) };
      const { status, events, nextFromSeq, lastSeq, hasMore } = await wire.unary(method.getEvents, {
        ...query,
        ...wait,
      });
      const name = nameOf(TaskStatus, status) as Status;
      return { status: name, events: events.map(toDoorEvent), nextFromSeq, lastSeq, hasMore };
    },
    async *follow(query) {
      for await (const frame of wire.stream(method.streamEvents, query)) yield* frame.events.map(toDoorEvent);
    },
    async *followTasks({ view, cursor = "", ...query }) {
      const wanted = { ...query, cursor, view: view === "tasks" ? FollowView.TASKS : FollowView.EVENTS };
      for await (const { tasks, nextCursor } of wire.stream(method.followTasks, wanted)) {
        yield { tasks: tasks.map(toDoorNews), cursor: nextCursor };
      }
    },
    async result({ taskId, waitMs }) {
      const wait = waitMs === undefined ? {} : { wait: durationFromMs(waitMs) };
      const { status, outcome, startedAt } = await wire.unary(method.getResult, { taskId, ...wait });
      const error =
        outcome.case === "error" ? { reason: outcome.value.reason, message: outcome.value.message } : undefined;
      const result = outcome.case === "result" ? outcome.value : undefined;
      return { status: nameOf(TaskStatus, status) as Status, result, error, isStarted: startedAt !== undefined };
    },
    async sessions() {
      const { sessions, hasMore } = await wire.unary(WorkerService.method.listSessions, {});
      return { sessions: sessions.map(toDoorSession), hasMore };
    },
    async [Symbol.asyncDispose]() {
      wire.close();
      await served[Symbol.asyncDispose]();
    },
  };
}

/** Calls of a method by its descriptor, as any gRPC client makes them. */
export function openWire(address: string) {
  const client = new Client(address, credentials.createInsecure());
  const path = (method: DescMethod) => `/${method.parent.typeName}/${method.name}`;
  const encode = (method: DescMethod) => (message: MessageShape<DescMethod["input"]>) =>
    Buffer.from(toBinary(method.input, message));
  return {
    unary<Method extends DescMethod>(
      method: Method,
      request: MessageInitShape<Method["input"]>,
    ): Promise<MessageShape<Method["output"]>> {
      return new Promise((resolve, reject) => {
        client.makeUnaryRequest(
          path(method),
          encode(method),
          (bytes) => fromBinary(method.output, bytes) as MessageShape<Method["output"]>,
          create(method.input, request),
          (error, answer) => (error === null ? resolve(answer!) : reject(toDoorError(error))),
        );
      });
    },
    async *stream<Method extends DescMethod>(
      method: Method,
      request: MessageInitShape<Method["input"]>,
    ): AsyncGenerator<MessageShape<Method["output"]>> {
      const call = client.makeServerStreamRequest(
        path(method),
        encode(method),
        (bytes) => fromBinary(method.output, bytes) as MessageShape<Method["output"]>,
        create(method.input, request),
      );
      try {
        yield* call as AsyncIterable<MessageShape<Method["output"]>>;
      } catch (error) {
        throw toDoorError(error as ServiceError);
      } finally {
        call.cancel();
      }
    },
    close: () => client.close(),
  };
}

function toDoorError(error: ServiceError): Error {
  const [details] = error.metadata?.get("grpc-status-details-bin") ?? [];
  if (!(details instanceof Buffer)) return error;
  const { details: packed } = fromBinary(StatusSchema, details);
  const info = packed.filter((any) => anyIs(any, ErrorInfoSchema)).map((any) => anyUnpack(any, ErrorInfoSchema)!)[0]!;
  const violations = packed
    .filter((any) => anyIs(any, BadRequestSchema))
    .flatMap((any) => anyUnpack(any, BadRequestSchema)!.fieldViolations);
  return new DoorError(
    info.reason,
    violations.map(({ field }) => field),
    info.metadata,
    error.code,
  );
}

function nameOf(names: Record<string, string | number>, value: number): string {
  return String(Object.keys(names).find((name) => names[name] === value)).toLowerCase();
}

function toStartRequest(options: StartOptions): MessageInitShape<typeof StartTaskRequestSchema> {
  const { timeoutMs, retryPolicy, runAt, deadlineAt, ...rest } = options;
  const { initialBackoffMs, maxBackoffMs, ...factors } = retryPolicy ?? {};
  const backoffs = {
    ...(initialBackoffMs === undefined ? {} : { initialBackoff: durationFromMs(initialBackoffMs) }),
    ...(maxBackoffMs === undefined ? {} : { maxBackoff: durationFromMs(maxBackoffMs) }),
  };
  return {
    ...rest,
    ...(timeoutMs === undefined ? {} : { timeout: durationFromMs(timeoutMs) }),
    ...(retryPolicy === undefined ? {} : { retryPolicy: { ...backoffs, ...factors } }),
    ...(runAt === undefined ? {} : { runAt: timestampFromDate(runAt) }),
    ...(deadlineAt === undefined ? {} : { deadlineAt: timestampFromDate(deadlineAt) }),
  };
}

function toDoorTask({ status, startedAt, runAt, deadlineAt, attemptDeadlineAt, retryPolicy, ...task }: Task): DoorTask {
  const { initialBackoff, maxBackoff, backoffMultiplier, jitter } = retryPolicy!;
  return doorTask({
    ...task,
    status: nameOf(TaskStatus, status) as Status,
    startedAt: startedAt ? timestampDate(startedAt) : null,
    runAt: runAt ? timestampDate(runAt) : null,
    deadlineAt: deadlineAt ? timestampDate(deadlineAt) : null,
    attemptDeadlineAt: attemptDeadlineAt ? timestampDate(attemptDeadlineAt) : null,
    retryPolicy: {
      initialBackoffMs: durationMs(initialBackoff!),
      maxBackoffMs: durationMs(maxBackoff!),
      backoffMultiplier,
      jitter: jitter!,
    },
  });
}

function toDoorNews({ taskId, kind, events, task, progress }: FollowedTask): DoorNews["tasks"][number] {
  const news = { taskId, kind, events: events.map(toDoorEvent) };
  if (task === undefined) return { ...news, state: null };
  const latest = progress ? toBody({ case: "progress", value: progress }) : null;
  return { ...news, state: { status: nameOf(TaskStatus, task.status) as Status, progress: latest } };
}

function toDoorEvent({ seq, body }: Event): DoorEvent {
  return {
    seq,
    type: (body.case ?? "unknown").replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    body: toBody(body),
  };
}

function toBody(body: Event["body"]): JsonObject {
  switch (body.case) {
    case "started":
      return { kind: body.value.kind, attempt: body.value.attempt };
    case "progress": {
      const { phase, current, total, detail } = body.value;
      return { phase, current: Number(current), total: Number(total), ...(detail === undefined ? {} : { detail }) };
    }
    case "log":
      return { level: nameOf(LogLevel, body.value.level).toUpperCase(), message: body.value.message };
    case "partial":
      return { kind: body.value.kind, payload: body.value.payload! };
    case "cancelRequested":
      return { reason: body.value.reason };
    case "final": {
      const { status, outcome } = body.value;
      const name = nameOf(TaskStatus, status);
      if (outcome.case === "result") return { status: name, result: outcome.value };
      const { reason, message } = outcome.value!;
      return { status: name, error: { reason, message } };
    }
    default:
      return {};
  }
}

function toDoorSession({ sessionId, host, pid, kinds, capacity, running, isWorker, ...times }: Session): SessionState {
  const { startedAt, seenAt, expiresAt } = times;
  return {
    sessionId,
    host,
    pid,
    kinds,
    capacity,
    running,
    isWorker,
    startedAt: timestampDate(startedAt!),
    seenAt: timestampDate(seenAt!),
    expiresAt: timestampDate(expiresAt!),
  };
}
