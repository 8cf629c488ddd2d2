import { fromBinary } from "@bufbuild/protobuf";
import type { DescMethodUnary, Message, MessageInitShape } from "@bufbuild/protobuf";
import type { GenMessage } from "@bufbuild/protobuf/codegenv2";
import type { GrpcTransport } from "../transport/grpc-transport.ts";
import { withRetries } from "../retry.ts";

/** How long the server may take to answer one attempt, in ms. */
const ANSWER_MS_MAX = 20_000;

/** Makes a call of AdminService. @param retryMs 0: one attempt */
export function adminCall<I extends Message, O extends Message>(
  transport: GrpcTransport,
  method: DescMethodUnary<GenMessage<I>, GenMessage<O>>,
  request: MessageInitShape<GenMessage<I>>,
  retryMs: number,
): Promise<O> {
  const read = (bytes: Buffer) => fromBinary(method.output, bytes);
  return withRetries(() => transport.unary(method, request, { timeoutMs: ANSWER_MS_MAX, read }), { retryMs });
}
