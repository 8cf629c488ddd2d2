import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { DescMethod, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { anyIs, anyUnpack } from "@bufbuild/protobuf/wkt";
import { Client, credentials } from "@grpc/grpc-js";
import type { ServiceError } from "@grpc/grpc-js";
import { BadRequestSchema, ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../src/gen/google/rpc/status_pb.ts";
import type { Endpoint } from "./endpoint.ts";
import { openServed } from "./served.ts";
import type { Served } from "./served.ts";
import { endpointError, wireEndpoint } from "./wire-endpoint.ts";
import type { Wire } from "./wire-endpoint.ts";

/** Bare grpc-js. */
export async function openGrpcEndpoint(at?: Served): Promise<Endpoint> {
  const served = at ?? (await openServed());
  return wireEndpoint(served, openWire(served.address));
}

/** Calls of a method by its descriptor, as any gRPC client makes them. */
export function openWire(address: string): Wire {
  const client = new Client(address, credentials.createInsecure());
  const path = (method: DescMethod) => `/${method.parent.typeName}/${method.name}`;
  const encode = (method: DescMethod) => (message: MessageShape<DescMethod["input"]>) =>
    Buffer.from(toBinary(method.input, message));
  return {
    unary<Method extends DescMethod>(
      method: Method,
      request: MessageInitShape<Method["input"]>,
    ): Promise<MessageShape<Method["output"]>> {
      return new Promise((resolve, reject) => {
        client.makeUnaryRequest(
          path(method),
          encode(method),
          (bytes) => fromBinary(method.output, bytes) as MessageShape<Method["output"]>,
          create(method.input, request),
          (error, answer) => (error === null ? resolve(answer!) : reject(toEndpointError(error))),
        );
      });
    },
    async *stream<Method extends DescMethod>(
      method: Method,
      request: MessageInitShape<Method["input"]>,
    ): AsyncGenerator<MessageShape<Method["output"]>> {
      const call = client.makeServerStreamRequest(
        path(method),
        encode(method),
        (bytes) => fromBinary(method.output, bytes) as MessageShape<Method["output"]>,
        create(method.input, request),
      );
      try {
        yield* call as AsyncIterable<MessageShape<Method["output"]>>;
      } catch (error) {
        throw toEndpointError(error as ServiceError);
      } finally {
        call.cancel();
      }
    },
    close: () => client.close(),
  };
}

function toEndpointError(error: ServiceError): Error {
  const [details] = error.metadata?.get("grpc-status-details-bin") ?? [];
  if (!(details instanceof Buffer)) return error;
  const { details: packed } = fromBinary(StatusSchema, details);
  const info = packed.filter((any) => anyIs(any, ErrorInfoSchema)).map((any) => anyUnpack(any, ErrorInfoSchema)!)[0]!;
  const violations = packed
    .filter((any) => anyIs(any, BadRequestSchema))
    .flatMap((any) => anyUnpack(any, BadRequestSchema)!.fieldViolations);
  return endpointError(info, violations, error.code);
}
