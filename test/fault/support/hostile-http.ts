import { Agent, request } from "node:http";
import type { IncomingMessage } from "node:http";
import { connect } from "node:net";
import type { DescMethod } from "@bufbuild/protobuf";
import { pathOf } from "../../rpc/raw-client.ts";
import { CUT, LEFT, OK, readErrorJson, readFrames, readGrpcStatus } from "./hostile-answers.ts";
import type { Answer } from "./hostile-answers.ts";
import type { Exchange } from "./hostile-grpc.ts";
import type { HostileValues } from "./hostile-values.ts";

const LEAVE_MS = 300;
const ANSWER_MS_MAX = 30_000;
const STREAM_MS = "100";
const TIMEOUTS = ["", "-1", "0", "1", "99999999999", "1e3", "x", " 5", "1.5"];
const TYPES = [
  "text/html",
  "application/json; charset=utf-16",
  "application/jsonx",
  "",
  "application/grpc",
  "multipart/form-data",
];
const ENCODINGS = ["gzip", "br", "deflate", "identity", "x", "gzip, gzip"];
const RESOURCES = [
  "/metrics",
  "/log-level",
  "/healthz",
  "/readyz",
  "/",
  "/v1/",
  "/v1/tasks",
  "/spool.v1.X/Y",
  "/%2e%2e/",
  "/index.html",
];

interface Sent {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: Buffer;
  leaveMs: number;
}

/** Sends hostile requests to the HTTP endpoint: calls in each protocol, streams, resources, and bytes that are no HTTP. */
export class HostileHttp {
  readonly #url: URL;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 32 });

  constructor(url: string) {
    this.#url = new URL(url);
  }

  /** Makes one call in a protocol that serves its kind. @param credential its headers */
  async call(values: HostileValues, method: DescMethod, credential: Record<string, string>): Promise<Exchange> {
    const isStream = method.methodKind !== "unary";
    const waits = isStream || ["GetEvents", "GetResult"].includes(method.name);
    const isWeb = values.chance(0.3);
    const isJson = values.chance(0.6);
    const isGet = !isStream && !isWeb && method.idempotency === 1 && values.chance(0.3);
    const isOdd = values.chance(0.5);
    const isTypeOdd = isOdd && values.chance(0.1);
    const isEnveloped = isWeb || isStream;
    const message = isJson ? values.json(method) : values.binary(method);
    const format = isJson ? "json" : "proto";
    const type = isWeb
      ? `application/grpc-web+${format}`
      : isStream
        ? `application/connect+${format}`
        : `application/${format}`;
    const timeout = isWeb ? "grpc-timeout" : "connect-timeout-ms";
    const headers: Record<string, string> = { ...credential };
    if (waits) headers[timeout] = isWeb ? `${STREAM_MS}m` : STREAM_MS;
    if (isOdd && values.chance(0.2)) headers[timeout] = values.pick(TIMEOUTS);
    if (isOdd && values.chance(0.1)) {
      const name = values.pick([
        "content-encoding",
        "grpc-encoding",
        "connect-content-encoding",
        "connect-protocol-version",
      ]);
      headers[name] = values.pick(ENCODINGS);
    }
    const leaveMs = values.chance(0.02) ? values.below(50) : waits ? LEAVE_MS : ANSWER_MS_MAX;
    const name = `${isGet ? "Connect GET" : isWeb ? "gRPC-Web" : "Connect"} ${method.name}`;
    if (isGet) {
      const query = new URLSearchParams({ encoding: format, base64: "1", message: message.toString("base64url") });
      if (isOdd)
        query.set(
          values.pick(["encoding", "base64", "message", "compression", "connect"]),
          values.text().slice(0, 300),
        );
      const path = `${pathOf(method)}?${query.toString()}`.slice(0, 12_000);
      return this.#exchange(name, false, { method: "GET", path, headers, body: Buffer.alloc(0), leaveMs });
    }
    headers["content-type"] = isTypeOdd ? values.pick(TYPES) : type;
    const body = isEnveloped ? envelope(values, message, isOdd) : message;
    const verb = isOdd && values.chance(0.03) ? values.pick(["GET", "PUT", "OPTIONS", "DELETE"]) : "POST";
    const sent = { method: verb, path: pathOf(method), headers, body, leaveMs };
    return this.#exchange(name, isTypeOdd || verb !== "POST", sent);
  }

  /** Reads a stream of server-sent events, or a resource that is no call. */
  async get(values: HostileValues, credential: Record<string, string>): Promise<Exchange> {
    const query = new URLSearchParams();
    for (let count = values.below(4); count > 0; count--) {
      const name = values.pick(["kind", "label", "cursor", "from_start", "view", "heartbeat_seconds", "from_seq", "x"]);
      query.append(name, values.pick(["1", "true", "events", "tasks", "a=b", values.text().slice(0, 300)]));
    }
    const id = encodeURIComponent(values.text().slice(0, 200).toWellFormed());
    const path = values.pick([
      `/v1/tasks/${id}/events?${query.toString()}`,
      `/v1/events?${query.toString()}`,
      values.pick(RESOURCES),
    ]);
    const headers: Record<string, string> = { ...credential };
    if (values.chance(0.3)) headers["last-event-id"] = values.pick(["1", "-1", "x", values.known.at(-1)!]);
    if (values.chance(0.1)) headers["origin"] = values.pick(["http://evil.example", "null", "x"]);
    const sent = { method: "GET", path, headers, body: Buffer.alloc(0) as Buffer, leaveMs: 100 };
    if (path === "/log-level" && values.chance(0.5)) {
      sent.method = "PUT";
      sent.body = values.pick([
        values.bytes(),
        Buffer.from('{"level":"x"}'),
        Buffer.alloc(2_000, 97),
        Buffer.from("[]"),
      ]);
    }
    const isCall = path.startsWith("/v1/") || path.startsWith("/spool.") || ["/metrics", "/log-level"].includes(path);
    return this.#exchange(isCall ? "server-sent events and resources" : "other paths", !isCall, sent);
  }

  /** Sends bytes that are no HTTP, or a part of a request. */
  async raw(values: HostileValues): Promise<Exchange> {
    const start = "POST /spool.v1.TaskService/GetTask HTTP/1.1\r\nhost: 127.0.0.1\r\n";
    const bytes = values.pick([
      () => values.bytes(200),
      () => Buffer.from(`${start}content-length: -1\r\n\r\n{}`),
      () => Buffer.from(`${start}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`),
      () => Buffer.from(`${start}transfer-encoding: chunked\r\ncontent-type: application/json\r\n\r\nzz\r\n{}\r\n`),
      () => Buffer.from(`${start}x: ${"y".repeat(20_000)}\r\n\r\n`),
      () => Buffer.from(start).subarray(0, values.below(start.length)),
      () => Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
      () => values.mutated(Buffer.from(`${start}content-length: 2\r\n\r\n{}`)),
    ])();
    const answer = await new Promise<Answer>((resolve) => {
      const socket = connect(Number(this.#url.port), this.#url.hostname);
      const timer = setTimeout(() => socket.destroy(), 200);
      socket.on("error", () => {});
      socket.on("close", () => {
        clearTimeout(timer);
        resolve(CUT);
      });
      socket.resume();
      socket.write(bytes);
    });
    return { name: "no HTTP", isOddHttp: true, sent: bytes, answer };
  }

  async #exchange(name: string, isOddHttp: boolean, sent: Sent): Promise<Exchange> {
    return { name, isOddHttp, sent, answer: await this.#send(sent) };
  }

  close(): void {
    this.#agent.destroy();
  }

  #send({ method, path, headers, body, leaveMs }: Sent): Promise<Answer> {
    const { hostname, port } = this.#url;
    return new Promise((resolve) => {
      const length = body.length > 0 ? { "content-length": `${body.length}` } : {};
      const options = { hostname, port, agent: this.#agent, method, path, headers: { ...length, ...headers } };
      let sent;
      try {
        sent = request(options, (response) => void readAnswer(response).then(resolve, () => resolve(CUT)));
      } catch {
        return resolve(CUT); // Node does not send such a header.
      }
      const timer = setTimeout(() => {
        resolve(leaveMs === ANSWER_MS_MAX ? { code: "no answer", text: "" } : LEFT);
        sent.destroy();
      }, leaveMs);
      sent.on("error", () => resolve(CUT));
      sent.on("close", () => clearTimeout(timer));
      sent.end(body);
    });
  }
}

async function readAnswer(response: IncomingMessage): Promise<Answer> {
  const { statusCode = 0, headers } = response;
  const body = Buffer.concat((await response.toArray()) as Buffer[]);
  const type = headers["content-type"] ?? "";
  if (statusCode >= 400) return readErrorJson(body.toString(), statusCode);
  const status = readGrpcStatus((name) => headers[name]?.toString());
  if (status !== null) return status;
  if (!type.startsWith("application/grpc-web") && !type.startsWith("application/connect+")) return OK;
  return readFrames(body) ?? { code: "no end", text: body.subarray(0, 100).toString("latin1") };
}

function envelope(values: HostileValues, message: Buffer, isOdd: boolean): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  const whole = Buffer.concat([head, message]);
  return isOdd && values.chance(0.3) ? values.mutated(whole) : whole;
}
