import type {
  DescMethod,
  DescMethodStreaming,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import type { Transport } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-node";
import { BadRequestSchema, ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import type { Endpoint } from "./endpoint.ts";
import { openServed } from "./served.ts";
import type { Served } from "./served.ts";
import { endpointError, wireEndpoint } from "./wire-endpoint.ts";
import type { Wire } from "./wire-endpoint.ts";

/** gRPC-Web, as a browser's client speaks it. */
export async function openGrpcWebEndpoint(at?: Served): Promise<Endpoint> {
  const served = at ?? (await openServed());
  return wireEndpoint(served, openWire(createGrpcWebTransport({ baseUrl: served.url, httpVersion: "1.1" })));
}

function openWire(transport: Transport): Wire {
  return {
    async unary<Method extends DescMethod>(method: Method, request: MessageInitShape<Method["input"]>) {
      try {
        const call = transport.unary(method as DescMethodUnary, undefined, undefined, undefined, request);
        return (await call).message as MessageShape<Method["output"]>;
      } catch (error) {
        throw toEndpointError(error);
      }
    },
    async *stream<Method extends DescMethod>(method: Method, request: MessageInitShape<Method["input"]>) {
      const leaving = new AbortController();
      async function* only() {
        yield request;
      }
      try {
        const call = transport.stream(method as DescMethodStreaming, leaving.signal, undefined, undefined, only());
        yield* (await call).message as AsyncIterable<MessageShape<Method["output"]>>;
      } catch (error) {
        throw toEndpointError(error);
      } finally {
        leaving.abort();
      }
    },
    close() {},
  };
}

function toEndpointError(error: unknown): unknown {
  if (!(error instanceof ConnectError)) return error;
  const [info] = error.findDetails(ErrorInfoSchema);
  const violations = error.findDetails(BadRequestSchema).flatMap(({ fieldViolations }) => fieldViolations);
  return info === undefined ? error : endpointError(info, violations, error.code);
}
