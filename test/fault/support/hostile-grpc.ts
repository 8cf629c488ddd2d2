import { connect } from "node:http2";
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from "node:http2";
import type { DescMethod } from "@bufbuild/protobuf";
import { create, toBinary } from "@bufbuild/protobuf";
import { WorkRequestSchema, WorkerService } from "../../../src/gen/spool/v1/worker_service_pb.ts";
import { pathOf } from "../../rpc/raw-client.ts";
import { CUT, LEFT, readGrpcStatus } from "./hostile-answers.ts";
import type { Answer } from "./hostile-answers.ts";
import type { HostileValues } from "./hostile-values.ts";

/** What a fuzzer has sent and got. */
export interface Exchange {
  /** The endpoint and the call, for counting. */
  name: string;
  answer: Answer;
  /** Whether HTTP itself may have refused the request: the answer need not be one of a call. */
  isOddHttp: boolean;
  /** What was sent, for people. */
  sent: unknown;
}

/** A stream ends by its own deadline after this time. */
const STREAM_TIMEOUT = "100m";
/** The caller leaves an open call after this time. */
const LEAVE_MS = 300;
/** A call that the server must answer without waiting has no answer after this time. */
const ANSWER_MS_MAX = 30_000;
const SESSIONS = 8;

const TIMEOUTS = [
  "",
  "-1S",
  "0n",
  "1n",
  "99999999H",
  "999999999S",
  "1x",
  "1.5S",
  " 5S",
  "5 S",
  "S",
  "1S, 2S",
  "\u00b2S",
];
const TYPES = [
  "application/grpc+proto",
  "application/grpc+json",
  "application/grpcx",
  "text/html",
  "",
  "application/json",
];
const ENCODINGS = ["gzip", "deflate", "br", "identity", "x", ""];

/** Sends hostile calls to the gRPC endpoint, over plain HTTP/2. */
export class HostileGrpc {
  readonly #address: string;
  readonly #sessions: (ClientHttp2Session | undefined)[] = Array.from({ length: SESSIONS });

  constructor(address: string) {
    this.#address = address;
  }

  /** Makes one call. @param headers the credential and the namespace */
  async call(values: HostileValues, method: DescMethod, headers: Record<string, string>): Promise<Exchange> {
    const isStream = method.methodKind !== "unary";
    const waits = isStream || ["GetEvents", "GetResult"].includes(method.name);
    const isOdd = values.chance(0.5);
    const isTypeOdd = isOdd && values.chance(0.1);
    const isLeft = values.chance(0.02);
    const path =
      isOdd && values.chance(0.03) ? values.pick(["/", "/x", `${pathOf(method)}x`, "/spool.v1.X/Y"]) : pathOf(method);
    const sent: Record<string, string | string[]> = {
      ":method": isOdd && values.chance(0.02) ? values.pick(["GET", "PUT"]) : "POST",
      ":path": path,
      te: "trailers",
      "content-type": isTypeOdd ? values.pick(TYPES) : "application/grpc",
      ...headers,
    };
    if (waits) sent["grpc-timeout"] = STREAM_TIMEOUT;
    if (isOdd && values.chance(0.2)) sent["grpc-timeout"] = values.pick(TIMEOUTS);
    if (isOdd && values.chance(0.1)) sent["grpc-encoding"] = values.pick(ENCODINGS);
    if (isOdd && values.chance(0.1))
      sent["x-odd-bin"] = values.pick(["=", "a", "AAAA,BBBB", "é".repeat(10), "x".repeat(4_000)]);
    if (isOdd && values.chance(0.1))
      sent["traceparent"] = values.pick(["00-0-0-0", "x".repeat(500), "ff-".padEnd(55, "0")]);
    if (isOdd && values.chance(0.05)) sent["x-many"] = Array.from({ length: 50 }, (_, index) => `${index}`.repeat(20));
    const messages = method === WorkerService.method.work ? workMessages(values) : [values.binary(method)];
    if (isOdd && values.chance(0.05)) messages.push(values.binary(method));
    const frames = messages.map((message) =>
      isOdd && values.chance(0.2) ? oddFrame(values, message) : frame(message),
    );
    const isOpen = isOdd && values.chance(0.05);
    const exchange = {
      name: `gRPC ${method.name}`,
      sent: { headers: sent, frames },
      isOddHttp: isTypeOdd || sent[":method"] !== "POST",
    };
    const maySend = {
      frames,
      isOpen,
      leaveMs: isLeft ? values.below(50) : isOpen || waits ? LEAVE_MS : ANSWER_MS_MAX,
    };
    return { ...exchange, answer: await this.#send(values, sent, maySend) };
  }

  close(): void {
    for (const session of this.#sessions) session?.destroy();
  }

  #send(
    values: HostileValues,
    headers: Record<string, string | string[]>,
    { frames, isOpen, leaveMs }: { frames: readonly Buffer[]; isOpen: boolean; leaveMs: number },
  ): Promise<Answer> {
    const { promise, resolve } = Promise.withResolvers<Answer>();
    let stream: ClientHttp2Stream;
    try {
      stream = this.#session(values).request(headers, { endStream: false });
    } catch {
      return Promise.resolve(CUT); // The session has just closed, or Node does not send such a header.
    }
    const seen: IncomingHttpHeaders = {};
    const timer = setTimeout(() => {
      resolve(leaveMs === ANSWER_MS_MAX ? { code: "no answer", text: "" } : LEFT);
      stream.close(8); // CANCEL
    }, leaveMs);
    stream.on("response", (given) => Object.assign(seen, given));
    stream.on("trailers", (given) => Object.assign(seen, given));
    stream.on("error", () => {});
    stream.on("close", () => {
      clearTimeout(timer);
      const status = readGrpcStatus((name) => seen[name]?.toString());
      const http = seen[":status"];
      resolve(status ?? (http === undefined ? CUT : { code: `HTTP ${String(http)}`, text: `reset ${stream.rstCode}` }));
    });
    stream.resume();
    for (const bytes of frames) {
      const at = values.chance(0.1) ? values.below(bytes.length + 1) : 0; // In two parts.
      if (at > 0) stream.write(bytes.subarray(0, at));
      stream.write(bytes.subarray(at));
    }
    if (!isOpen) stream.end();
    return promise;
  }

  #session(values: HostileValues): ClientHttp2Session {
    const index = values.below(SESSIONS);
    const former = this.#sessions[index];
    if (former !== undefined && !former.closed && !former.destroyed) return former;
    const session = connect(`http://${this.#address}`);
    session.on("error", () => {});
    this.#sessions[index] = session;
    return session;
  }
}

function frame(message: Buffer, { flag = 0, length = message.length } = {}): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flag;
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, message]);
}

/** Returns a frame that says something wrong about its message, or a part of a frame. */
function oddFrame(values: HostileValues, message: Buffer): Buffer {
  const length = values.pick([0, message.length + 1, Math.max(0, message.length - 1), 2 ** 32 - 1, 5 * 1_024 * 1_024]);
  return values.pick([
    () => frame(message, { flag: values.pick([1, 2, 128, 255]) }),
    () => frame(message, { length }),
    () => frame(message).subarray(0, values.below(message.length + 5)),
    () => values.bytes(),
    () => Buffer.alloc(0),
  ])();
}

/** Returns the messages of a worker: mostly a Hello, and then any others in any order. */
function workMessages(values: HostileValues): Buffer[] {
  const hello = { kinds: [{ name: values.pick(["echo", "hostile"]), checks: values.chance(0.5) }], capacity: 2 };
  const first = create(WorkRequestSchema, {
    message: { case: "hello", value: { ...hello, draining: values.chance(0.5) } },
  });
  const valid = Buffer.from(toBinary(WorkRequestSchema, first));
  const rest = Array.from({ length: values.below(8) }, () => values.binary(WorkerService.method.work));
  return values.chance(0.8) ? [valid, ...rest] : rest;
}
