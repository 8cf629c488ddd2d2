import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { errorFromJson } from "@connectrpc/connect/protocol-connect";
import { ErrorInfoSchema } from "../../../src/gen/google/rpc/error_details_pb.ts";
import type { ErrorInfo } from "../../../src/gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../../src/gen/google/rpc/status_pb.ts";

/** How a call ended, as its caller sees it. */
export interface Answer {
  /** OK, a code, `cut` (the server closed the connection), `left` (the caller did not wait), or what HTTP says. */
  code: string;
  /** Of the ErrorInfo; undefined: the answer has none. */
  reason?: string | undefined;
  /** Of an internal error. */
  errorId?: string | undefined;
  text: string;
}

export const OK: Answer = { code: "OK", text: "" };
export const LEFT: Answer = { code: "left", text: "" };
export const CUT: Answer = { code: "cut", text: "" };

const TRAILERS = 0x80;
const END_OF_STREAM = 0x02;
const HEAD_BYTES = 5;

function answerOf(code: number, info: ErrorInfo | undefined, text: string): Answer {
  return { code: Code[code] ?? `code ${code}`, reason: info?.reason, errorId: info?.metadata["error_id"], text };
}

/** Reads the status of gRPC. @param read reads a header or trailer; undefined: it is missing */
export function readGrpcStatus(read: (name: string) => string | undefined): Answer | null {
  const status = read("grpc-status");
  if (status === undefined) return null;
  if (status === "0") return OK;
  const text = decodeURIComponent(read("grpc-message") ?? "");
  const { details } = fromBinary(StatusSchema, Buffer.from(read("grpc-status-details-bin") ?? "", "base64"));
  const [info] = details.map((any) => anyUnpack(any, ErrorInfoSchema)).filter((found) => found !== undefined);
  return answerOf(Number(status), info, text);
}

/** Reads an error of Connect, which all other paths of the HTTP endpoint send as well. */
export function readErrorJson(text: string, status: number): Answer {
  try {
    const json = JSON.parse(text) as Parameters<typeof errorFromJson>[0];
    const error = errorFromJson(json, undefined, new ConnectError("no error", Code.Unknown));
    return answerOf(error.code, error.findDetails(ErrorInfoSchema)[0], error.rawMessage);
  } catch {
    return { code: `HTTP ${status}`, text: text.slice(0, 200) };
  }
}

/** Reads the frames of a stream of Connect or of gRPC-Web, up to its end. @returns null if the end is missing */
export function readFrames(body: Buffer): Answer | null {
  for (let at = 0; at + HEAD_BYTES <= body.length;) {
    const flags = body[at]!;
    const end = at + HEAD_BYTES + body.readUInt32BE(at + 1);
    if (end > body.length) return null;
    const content = body.subarray(at + HEAD_BYTES, end).toString();
    if ((flags & TRAILERS) !== 0) {
      const pairs = content
        .split("\r\n")
        .map((line): [string, string] => [
          line.slice(0, line.indexOf(":")).toLowerCase(),
          line.slice(line.indexOf(":") + 1).trim(),
        ]);
      const trailers = new Map(pairs);
      return readGrpcStatus((name) => trailers.get(name));
    }
    if ((flags & END_OF_STREAM) !== 0) {
      const { error } = JSON.parse(content) as { error?: unknown };
      return error === undefined ? OK : readErrorJson(JSON.stringify(error), 200);
    }
    at = end;
  }
  return null;
}
