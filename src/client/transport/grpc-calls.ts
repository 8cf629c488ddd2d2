import { fromBinary } from "@bufbuild/protobuf";
import { readTapeAnswer } from "../follow/tape-reader.ts";
import type { GrpcTransport } from "./grpc-transport.ts";
import type { Transport } from "./transport.ts";

/** Makes the calls of a caller over gRPC. */
export function callsOverGrpc(grpc: GrpcTransport): Transport {
  return {
    unary(method, request, limits) {
      return grpc.unary(method, request, { ...limits, read: (bytes) => fromBinary(method.output, bytes) });
    },
    stream(method, request, limits) {
      return grpc.stream(method, request, { ...limits, read: (bytes) => fromBinary(method.output, bytes) });
    },
    readTape(method, request, limits) {
      return grpc.unary(method, request, { ...limits, read: (bytes) => readTapeAnswer(method.output, bytes) });
    },
    streamTape(method, request, limits) {
      return grpc.stream(method, request, { ...limits, read: (bytes) => readTapeAnswer(method.output, bytes) });
    },
    close: grpc.close,
  };
}
