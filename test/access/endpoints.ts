import { create, toBinary } from "@bufbuild/protobuf";
import type {
  DescMessage,
  DescMethod,
  DescMethodServerStreaming,
  DescMethodUnary,
  MessageInitShape,
} from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { errorFromJson } from "@connectrpc/connect/protocol-connect";
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import { ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import { detailsOf, pathOf } from "../rpc/raw-client.ts";

/** What a caller learns from a call: a first message or a good end, or an error. */
export interface Outcome {
  code: "OK" | keyof typeof Code;
  /** The reason of the ErrorInfo; undefined: OK, or the error has none. */
  reason?: string | undefined;
  /** All other texts of the error. */
  text: string;
}

export interface Call {
  method: DescMethod;
  request: MessageInitShape<DescMessage>;
  headers: Record<string, string>;
}

/** A protocol with which callers reach the server. */
export interface Endpoint {
  name: string;
  /** Whether the endpoint serves a call. */
  serves(method: DescMethod): boolean;
  call(call: Call): Promise<Outcome>;
}

const OK: Outcome = { code: "OK", text: "" };
/** A call without any answer after this time is an error of the matrix. */
const ANSWER_MS_MAX = 20_000;

function outcomeOf(code: Code, info: { reason?: string | undefined; text: unknown }): Outcome {
  return { code: Code[code] as keyof typeof Code, reason: info.reason, text: JSON.stringify(info.text) };
}

/** All endpoints of a server. */
export function endpointsOf({ grpcPort, url }: { grpcPort: number; url: string }): Endpoint[] {
  const common = { baseUrl: url, httpVersion: "1.1" as const };
  const isUnary = ({ methodKind }: DescMethod) => methodKind === "unary";
  const isOneWay = ({ methodKind }: DescMethod) => methodKind !== "bidi_streaming";
  return [
    { name: "gRPC", serves: () => true, call: (call) => callGrpc(grpcPort, call) },
    overTransport("Connect JSON", createConnectTransport({ ...common, useBinaryFormat: false }), isOneWay),
    overTransport("Connect protobuf", createConnectTransport({ ...common, useBinaryFormat: true }), isOneWay),
    overTransport(
      "Connect GET",
      createConnectTransport({ ...common, useHttpGet: true }),
      // NO_SIDE_EFFECTS. The library sends all other calls by POST.
      (method) => isUnary(method) && method.idempotency === 1,
    ),
    overTransport("gRPC-Web", createGrpcWebTransport(common), isOneWay),
    {
      name: "server-sent events",
      serves: ({ name }) => name === "StreamEvents" || name === "FollowTasks",
      call: (call) => callEventSource(url, call),
    },
  ];
}

const clients = new Map<number, Client>();

function callGrpc(port: number, { method, request, headers }: Call): Promise<Outcome> {
  const bytes = Buffer.from(toBinary(method.input, create(method.input, request)));
  return callPath(port, pathOf(method), { bytes, headers, isOpen: method.methodKind === "bidi_streaming" });
}

/**
 * Calls a method by its path. Every kind of call is the same on the wire: messages, then a status.
 *
 * @param isOpen whether more messages may follow the first
 */
export function callPath(
  port: number,
  path: string,
  { bytes, headers, isOpen }: { bytes: Buffer; headers: Record<string, string>; isOpen: boolean },
): Promise<Outcome> {
  const client = clients.get(port) ?? new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  clients.set(port, client);
  const metadata = new Metadata();
  for (const [key, value] of Object.entries(headers)) metadata.set(key, value);
  const asIs = (message: Buffer) => message;
  const options = { deadline: Date.now() + ANSWER_MS_MAX };
  const call = client.makeBidiStreamRequest(path, asIs, asIs, metadata, options);
  call.write(bytes);
  if (!isOpen) call.end();
  return new Promise((resolve) => {
    call.once("data", () => {
      resolve(OK);
      call.cancel();
    });
    call.on("end", () => resolve(OK)); // After an error, the promise is settled already.
    call.on("error", (error) => {
      const { code, reason, ...text } = detailsOf(error);
      resolve(outcomeOf(code, { reason, text }));
    });
  });
}

function overTransport(name: string, transport: Transport, serves: Endpoint["serves"]): Endpoint {
  return {
    name,
    serves,
    async call({ method, request, headers }) {
      const ended = new AbortController();
      const signal = AbortSignal.any([ended.signal, AbortSignal.timeout(ANSWER_MS_MAX)]);
      try {
        if (method.methodKind === "unary") {
          await transport.unary(method as DescMethodUnary, signal, undefined, headers, request);
          return OK;
        }
        if (method.methodKind === "server_streaming") {
          const messages = (async function* () {
            yield request;
          })();
          const { message } = await transport.stream(
            method as DescMethodServerStreaming,
            signal,
            undefined,
            headers,
            messages,
          );
          for await (const _ of message) break;
        }
        return OK;
      } catch (error) {
        return refusalOf(ConnectError.from(error));
      } finally {
        ended.abort();
      }
    },
  };
}

function refusalOf(error: ConnectError): Outcome {
  const [info] = error.findDetails(ErrorInfoSchema);
  return outcomeOf(error.code, { reason: info?.reason, text: [error.rawMessage, info?.metadata] });
}

function callEventSource(url: string, { method, request, headers }: Call): Promise<Outcome> {
  const {
    taskId,
    kinds = [],
    labels = {},
  } = request as {
    taskId?: string;
    kinds?: string[];
    labels?: Record<string, string>;
  };
  const query = new URLSearchParams([
    ...kinds.map((kind): [string, string] => ["kind", kind]),
    ...Object.entries(labels).map(([key, value]): [string, string] => ["label", `${key}=${value}`]),
  ]);
  const path = method.name === "StreamEvents" ? `/v1/tasks/${taskId}/events` : `/v1/events?${query.toString()}`;
  return callHttp(url + path, { headers });
}

/** Sends a request that is no call, and reads the beginning of the response. */
export async function callHttp(url: string, init: RequestInit): Promise<Outcome> {
  const ended = new AbortController();
  const signal = AbortSignal.any([ended.signal, AbortSignal.timeout(ANSWER_MS_MAX)]);
  const response = await fetch(url, { ...init, signal });
  try {
    if (response.ok) {
      await response.body?.getReader().read();
      return OK;
    }
    const body = (await response.json()) as Parameters<typeof errorFromJson>[0];
    return refusalOf(errorFromJson(body, undefined, new ConnectError("no error", Code.Unknown)));
  } finally {
    ended.abort();
  }
}

/** Closes what the calls have left open. */
export function closeClients(): void {
  for (const client of clients.values()) client.close();
}
