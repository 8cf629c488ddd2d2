import { create, fromJson, toJsonString } from "@bufbuild/protobuf";
import type { DescMethod, JsonValue, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { BadRequestSchema, ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import { EventSchema } from "../../src/gen/spool/v1/event_pb.ts";
import { FollowTasksResponseSchema } from "../../src/gen/spool/v1/task_service_pb.ts";
import { readEvents } from "../support/server-sent-events.ts";
import type { Endpoint } from "./endpoint.ts";
import { openServed } from "./served.ts";
import type { Served } from "./served.ts";
import { endpointError, toEndpointEvent, toEndpointNews, wireEndpoint } from "./wire-endpoint.ts";
import type { Wire } from "./wire-endpoint.ts";

// Connect's JSON and server-sent events by fetch alone: only the JSON of a message is generated code's to read.

/** Connect with JSON. @param at where; by default a server of its own */
export async function openJsonEndpoint(at?: Served): Promise<Endpoint> {
  const served = at ?? (await openServed());
  return wireEndpoint(served, openWire(served.url));
}

/** Server-sent events for what is followed, and Connect with JSON for the rest. */
export async function openSseEndpoint(at?: Served): Promise<Endpoint> {
  const served = at ?? (await openServed());
  return {
    ...wireEndpoint(served, openWire(served.url)),
    async *follow({ taskId, fromSeq, view }) {
      const query = new URLSearchParams({
        ...(fromSeq !== undefined && { from_seq: `${fromSeq}` }),
        ...(view !== undefined && { view }),
      });
      for await (const { id, data } of listen(`${served.url}/v1/tasks/${taskId}/events?${query.toString()}`)) {
        const event = toEndpointEvent(fromJson(EventSchema, JSON.parse(data!)));
        if (id !== `${event.seq}`) throw new Error(`the event with id ${id} is ${event.seq}`);
        yield event;
      }
    },
    async *followTasks({ labels = {}, cursor, fromStart = false, view = "events" }) {
      const query = new URLSearchParams({ from_start: `${fromStart}`, view });
      for (const [key, value] of Object.entries(labels)) query.append("label", `${key}=${value}`);
      const headers: Record<string, string> = cursor === undefined ? {} : { "last-event-id": cursor };
      for await (const { id, data = "{}" } of listen(`${served.url}/v1/events?${query.toString()}`, headers)) {
        const { tasks } = fromJson(FollowTasksResponseSchema, JSON.parse(data));
        yield { tasks: tasks.map(toEndpointNews), cursor: id! };
      }
    },
  };
}

async function* listen(url: string, headers: Record<string, string> = {}) {
  const leaving = new AbortController();
  try {
    const response = await fetch(url, { headers, signal: leaving.signal });
    if (response.status >= 400) throw toEndpointError(await response.json());
    for await (const event of readEvents(response)) {
      if (event.event === "error") throw toEndpointError(JSON.parse(event.data!));
      yield event;
    }
  } finally {
    leaving.abort();
  }
}

function openWire(url: string): Wire {
  const urlOf = (method: DescMethod) => `${url}/${method.parent.typeName}/${method.name}`;
  const encode = (method: DescMethod, request: MessageInitShape<DescMethod["input"]>) =>
    toJsonString(method.input, create(method.input, request));
  return {
    async unary<Method extends DescMethod>(method: Method, request: MessageInitShape<Method["input"]>) {
      const headers = { "content-type": "application/json" };
      const response = await fetch(urlOf(method), { method: "POST", headers, body: encode(method, request) });
      const answer = (await response.json()) as JsonValue;
      if (response.status !== 200) throw toEndpointError(answer);
      return fromJson(method.output, answer) as MessageShape<Method["output"]>;
    },
    async *stream<Method extends DescMethod>(method: Method, request: MessageInitShape<Method["input"]>) {
      for await (const content of callStream(urlOf(method), encode(method, request))) {
        yield fromJson(method.output, content) as MessageShape<Method["output"]>;
      }
    },
    close() {},
  };
}

/** Each message has five bytes before it: its flags, of which 2 stands for the end, and its length. */
async function* callStream(url: string, request: string): AsyncGenerator<JsonValue> {
  const leaving = new AbortController();
  const message = Buffer.from(request);
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
        const content = JSON.parse(bytes.toString("utf8", 5, end));
        if (bytes[0] === 0) yield content;
        else if (content["error"] !== undefined) throw toEndpointError(content["error"]);
        else return;
        bytes = bytes.subarray(end);
      }
    }
    throw new Error("the stream has ended without its end");
  } finally {
    leaving.abort();
  }
}

/** An error as Connect writes it, whose details stand in `debug` as JSON. */
interface ConnectJsonError {
  message: string;
  details?: { type: string; debug: JsonValue }[];
}

function toEndpointError(error: unknown): Error {
  const { message, details } = error as ConnectJsonError;
  const find = (type: string) => details?.find((detail) => detail.type === type)?.debug;
  const info = find(ErrorInfoSchema.typeName);
  if (info === undefined) return new Error(message);
  const { fieldViolations } = fromJson(BadRequestSchema, find(BadRequestSchema.typeName) ?? {});
  return endpointError(fromJson(ErrorInfoSchema, info), fieldViolations, 0);
}
