import assert from "node:assert/strict";
import { createClient } from "@connectrpc/connect";
import type { Client, Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import type { ConnectTransportOptions } from "@connectrpc/connect-node";
import { pino } from "pino";
import type { TaskEngine } from "../../../src/engine/api/task-engine.ts";
import { TaskService } from "../../../src/gen/spool/v1/task_service_pb.ts";
import { openHttpListener } from "../../../src/server/http/http-listener.ts";
import type { HttpListener } from "../../../src/server/http/http-listener.ts";
import { openMetrics } from "../../../src/server/telemetry/metrics.ts";
import { Readiness } from "../../../src/server/readiness.ts";
import { fakeEngine } from "../../rpc/fake-engine.ts";
import { admission, oneEngine } from "../../support/one-engine.ts";

/** An endpoint that is open, and how to ask at it. */
export interface TestHttpListener extends AsyncDisposable {
  readonly endpoint: HttpListener;
  readonly url: string;
  readonly readiness: Readiness;
  /** What the server's log said, a line each. */
  readonly lines: string[];
  /** Calls a method of TaskService with a body of JSON. */
  call(method: string, body: unknown, headers?: Record<string, string>): Promise<Response>;
}

/** The protocols that a client of @connectrpc/connect speaks here. */
export const PROTOCOLS: readonly [name: string, transport: (options: ConnectTransportOptions) => Transport][] = [
  ["Connect with JSON", (options) => createConnectTransport({ ...options, useBinaryFormat: false })],
  ["Connect with protobuf", (options) => createConnectTransport({ ...options, useBinaryFormat: true })],
  ["gRPC-Web", (options) => createGrpcWebTransport(options)],
];

export function clientOf(
  { url }: TestHttpListener,
  transport: (options: ConnectTransportOptions) => Transport,
  options: Partial<ConnectTransportOptions> = {},
): Client<typeof TaskService> {
  return createClient(
    TaskService,
    transport({ baseUrl: url, httpVersion: "1.1", ...options } as ConnectTransportOptions),
  );
}

/** Opens an endpoint over an engine that can do so much. */
export async function openTestListener(
  calls: Partial<TaskEngine>,
  { token, ...options }: Partial<Parameters<typeof openHttpListener>[0]> & { token?: string } = {},
): Promise<TestHttpListener> {
  const lines: string[] = [];
  const log = pino({ level: "warn" }, { write: (line) => lines.push(line) });
  const readiness = new Readiness(async () => {});
  const metrics = openMetrics();
  const common = { host: "127.0.0.1", port: 0, readiness, metrics, log };
  const endpoint = await openHttpListener({
    engines: oneEngine(fakeEngine(calls)),
    ...common,
    ...admission(token),
    ...options,
  });
  const url = `${options.certificate ? "https" : "http"}://127.0.0.1:${endpoint.port}`;
  return {
    endpoint,
    url,
    readiness,
    lines,
    call: (method, body, headers = {}) =>
      fetch(`${url}/spool.v1.TaskService/${method}`, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: JSON.stringify(body),
      }),
    async [Symbol.asyncDispose]() {
      await endpoint.close({ graceMs: 0 });
      await metrics[Symbol.asyncDispose]();
    },
  };
}

/** An error as Connect writes it, and what a person reads of its details. */
interface ErrorBody {
  code: string;
  message: string;
  details?: { type: string; debug: Record<string, unknown> }[];
}

/** What an answer refuses with: its HTTP status, its code, its reason, and the fields that are to blame. */
export async function refusalOf(response: Response) {
  assert.equal(response.headers.get("content-type"), "application/json");
  return { status: response.status, ...readRefusal((await response.json()) as ErrorBody) };
}

export function readRefusal({ code, message, details = [] }: ErrorBody) {
  const debug = (type: string) => details.find((detail) => detail.type === `google.rpc.${type}`)?.debug;
  const violations = (debug("BadRequest")?.["fieldViolations"] ?? []) as { field: string }[];
  return { code, message, reason: debug("ErrorInfo")?.["reason"], fields: violations.map(({ field }) => field) };
}
