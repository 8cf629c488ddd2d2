import assert from "node:assert/strict";
import { connect, SpoolRpcError } from "../../src/client/client.ts";
import type { EventPage, FollowedTask, SpoolClient, SpoolEvent } from "../../src/client/client.ts";
import { connect as connectOverWeb } from "../../src/client/web.ts";
import type { JsonObject } from "../../src/domain/json.ts";
import { EndpointError, endpointTask, foldedBody, toldEach } from "./endpoint.ts";
import type { Endpoint, EndpointEvent, EndpointNews, EndpointPage } from "./endpoint.ts";
import { openServed } from "./served.ts";
import type { Served } from "./served.ts";

/** `@spooltape/client`, over gRPC, both as the caller and as the worker that runs the tasks. */
export async function openWorkerEndpoint(): Promise<Endpoint> {
  const served = await openServed({ byWorker: true });
  return clientEndpoint(served, connect({ address: served.address }));
}

/** `@spooltape/client`, over gRPC. */
export async function openClientEndpoint(at?: Served): Promise<Endpoint> {
  const served = at ?? (await openServed());
  return clientEndpoint(served, connect({ address: served.address }));
}

/** `@spooltape/client/web`, over Connect and fetch. */
export async function openWebClientEndpoint(): Promise<Endpoint> {
  const served = await openServed();
  return clientEndpoint(served, connectOverWeb({ url: served.url }));
}

function clientEndpoint(served: Served, client: SpoolClient): Endpoint {
  return {
    stage: served.stage,
    async start(options) {
      const { task, alreadyStarted } = await told(client.start(options));
      return { task: endpointTask(task), alreadyStarted };
    },
    get: async (taskId) => endpointTask(await told(client.get({ taskId }))),
    async *list(filter) {
      for await (const task of client.list(filter)) yield endpointTask(task);
    },
    async cancel(taskId, reason) {
      const { task, outcome } = await told(client.cancel({ taskId, reason }));
      return { status: task.status, outcome };
    },
    delete: async (taskId) => (await told(client.delete({ taskId }))).alreadyDeleted,
    events: async (query) => toEndpointPage(await told(client.events(query))),
    async *follow(query) {
      for await (const event of toldEach(client.follow(query), told)) yield toEndpointEvent(event);
    },
    async *followTasks(query) {
      for await (const { tasks, cursor } of toldEach(client.followTasks(query), told)) {
        yield { tasks: tasks.map(toEndpointNews), cursor };
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
    throw new EndpointError(
      String(error.reason),
      error.violations.map(({ field }) => field),
      error.metadata,
    );
  }
}

function toEndpointNews({ taskId, kind, events, task, progress }: FollowedTask): EndpointNews["tasks"][number] {
  const state = task && { status: task.status, progress: progress && { ...progress } };
  return { taskId, kind, events: events.map(toEndpointEvent), state };
}

function toEndpointPage({ status, events, nextFromSeq, lastSeq, hasMore }: EventPage): EndpointPage {
  return { status, events: events.map(toEndpointEvent), nextFromSeq, lastSeq, hasMore };
}

function toEndpointEvent(event: SpoolEvent): EndpointEvent {
  if (event.type === "folded") return { seq: event.seq, type: event.type, body: foldedBody(event) };
  const { seq, type, ...rest } = event;
  const { time, ...body } = rest;
  assert.ok(time instanceof Date);
  return { seq, type, body: body as unknown as JsonObject };
}
