import assert from "node:assert/strict";
import { connect, SpoolRpcError } from "../../src/client/client.ts";
import type { EventPage, FollowedTask, SpoolEvent } from "../../src/client/client.ts";
import type { JsonObject } from "../../src/domain/json.ts";
import { DoorError, doorTask, toldEach } from "./door.ts";
import type { Door, DoorEvent, DoorNews, DoorPage } from "./door.ts";
import { openServed } from "./served.ts";
import type { Served } from "./served.ts";

/** `spool/client`, over gRPC, both as the caller and as the worker that runs the tasks. */
export async function openWorkerDoor(): Promise<Door> {
  return clientDoor(await openServed({ byWorker: true }));
}

/** `spool/client`, over gRPC. */
export async function openClientDoor(at?: Served): Promise<Door> {
  return clientDoor(at ?? (await openServed()));
}

function clientDoor(served: Served): Door {
  const client = connect({ address: served.address });
  return {
    stage: served.stage,
    async start(options) {
      const { task, alreadyStarted } = await told(client.start(options));
      return { task: doorTask(task), alreadyStarted };
    },
    get: async (taskId) => doorTask(await told(client.get({ taskId }))),
    async *list(filter) {
      for await (const task of client.list(filter)) yield doorTask(task);
    },
    async cancel(taskId, reason) {
      const { task, outcome } = await told(client.cancel({ taskId, reason }));
      return { status: task.status, outcome };
    },
    events: async (query) => toDoorPage(await told(client.events(query))),
    async *follow(query) {
      for await (const event of toldEach(client.follow(query), told)) yield toDoorEvent(event);
    },
    async *followTasks(query) {
      for await (const { tasks, cursor } of toldEach(client.followTasks(query), told)) {
        yield { tasks: tasks.map(toDoorNews), cursor };
      }
    },
    async result(query) {
      const { status, result, error, startedAt } = await told(client.result(query));
      return { status, result, error, isStarted: startedAt !== null };
    },
    async sessions() {
      const { sessions, hasMore } = await told(client.sessions());
      return { sessions, hasMore };
    },
    async [Symbol.asyncDispose]() {
      client.close();
      await served[Symbol.asyncDispose]();
    },
  };
}

async function told<Answer>(call: Promise<Answer>): Promise<Answer> {
  try {
    return await call;
  } catch (error) {
    if (!(error instanceof SpoolRpcError)) throw error;
    throw new DoorError(
      String(error.reason),
      error.violations.map(({ field }) => field),
      error.metadata,
    );
  }
}

function toDoorNews({ taskId, kind, events, task, progress }: FollowedTask): DoorNews["tasks"][number] {
  const state = task && { status: task.status, progress: progress && { ...progress } };
  return { taskId, kind, events: events.map(toDoorEvent), state };
}

function toDoorPage({ status, events, nextFromSeq, lastSeq, hasMore }: EventPage): DoorPage {
  return { status, events: events.map(toDoorEvent), nextFromSeq, lastSeq, hasMore };
}

function toDoorEvent(event: SpoolEvent): DoorEvent {
  const { seq, type, ...rest } = event;
  const { time, ...body } = rest;
  assert.ok(time instanceof Date);
  return { seq, type, body: body as unknown as JsonObject };
}
