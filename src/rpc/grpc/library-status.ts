import type { Writable } from "node:stream";
import { ServerInterceptingCall, status as Status } from "@grpc/grpc-js";
import type { ServerInterceptor, ServerInterceptingCallInterface } from "@grpc/grpc-js";
import type { DescMethod } from "@bufbuild/protobuf";
import { SpoolError, Unimplemented } from "../../domain/errors.ts";
import { MESSAGE_BYTES_MAX } from "../../domain/limits.ts";
import { callDeadlineExceeded, toRpcError } from "../errors.ts";
import type { ErrorLog } from "../errors.ts";
import { toGrpcStatus } from "./grpc-status.ts";
import { requestBytesMax, tooLarge } from "../validation/request-bounds.ts";

type PartialStatusObject = Parameters<ServerInterceptingCallInterface["sendStatus"]>[0];

/** The private fields of grpc-js's innermost call. */
interface InnermostCall {
  /** Refuses a message by its length before it is buffered. */
  decoder: { maxReadMessageLength: number };
  stream: Writable;
}

const DETAILS = "grpc-status-details-bin";

/**
 * Creates an interceptor that adds reason and code to errors which grpc-js itself detects: messages that are too large,
 * truncated or wrongly compressed, invalid timeouts, deadlines. grpc-js ends such calls below all interceptors, with the
 * sendStatus of the innermost call. So this must be the first interceptor of a server, and it replaces that function.
 * It also sets the largest message of each method.
 *
 * @param methods the methods by path
 */
export function nameStatuses(methods: ReadonlyMap<string, DescMethod>, log: ErrorLog): ServerInterceptor {
  return ({ path }, call) => {
    const method = methods.get(path);
    const { decoder, stream } = call as unknown as InnermostCall;
    // A message could not be written because the connection is closed: no status reaches the client.
    const isGone = () => stream.errored !== null || stream.destroyed;
    if (method !== undefined) decoder.maxReadMessageLength = requestBytesMax(method);
    const sendStatus = call.sendStatus.bind(call);
    (call as Pick<ServerInterceptingCallInterface, "sendStatus">).sendStatus = (status) =>
      sendStatus(isGone() ? status : named(status, method, log));
    return new ServerInterceptingCall(call);
  };
}

function named(status: PartialStatusObject, method: DescMethod | undefined, log: ErrorLog): PartialStatusObject {
  if (status.code === Status.OK || (status.metadata?.get(DETAILS).length ?? 0) > 0) return status;
  const error = errorOf(status, method === undefined ? MESSAGE_BYTES_MAX : requestBytesMax(method));
  return error === null ? status : toGrpcStatus(toRpcError(error, log));
}

/** Errors by the texts of grpc-js, which offers nothing else. `test/server/library-errors.test.ts` pins the texts. */
const KNOWN_ERRORS: readonly [details: RegExp, toError: (details: string, bytesMax: number) => SpoolError][] = [
  [/^Received message larger than max|^Received message that decompresses to a size larger/, (_, max) => tooLarge(max)],
  [/^Received message compressed with unsupported encoding "?([^"]*)/, (details) => unknownEncoding(details)],
  [
    /^Received no request message/,
    () => invalid("the request must contain one message: it contains none, or a part of one"),
  ],
  [/^Received a second request message/, () => invalid("the request must contain one message: it contains two")],
  [/^Failed to decompress message/, () => invalid("the request is not compressed with its grpc-encoding")],
  [/^Invalid grpc-timeout value/, () => invalid("grpc-timeout: must be 1 to 8 digits and one of H, M, S, m, u, n")],
];

function errorOf({ code, details }: PartialStatusObject, bytesMax: number): SpoolError | null {
  if (code === Status.DEADLINE_EXCEEDED) return callDeadlineExceeded();
  for (const [form, toError] of KNOWN_ERRORS) if (form.test(details)) return toError(details, bytesMax);
  // Errors of health and reflection, which keep the codes of their protocols.
  if (code !== Status.INTERNAL && code !== Status.UNKNOWN) return null;
  return new SpoolError("INTERNAL", details);
}

function unknownEncoding(details: string): SpoolError {
  const encoding = /"([^"]*)"/.exec(details)?.[1] ?? "";
  return new Unimplemented(`grpc-encoding: must be one of identity, deflate, gzip, not ${JSON.stringify(encoding)}`);
}

function invalid(what: string): SpoolError {
  return new SpoolError("INVALID_ARGUMENT", what);
}
