import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type {
  DescMethod,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescMessage,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import { anyUnpack, durationMs } from "@bufbuild/protobuf/wkt";
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import type { ClientReadableStream, ServiceError } from "@grpc/grpc-js";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../src/gen/google/rpc/status_pb.ts";

export interface CallOptions {
  metadata?: Record<string, string>;
  signal?: AbortSignal;
}

/** A real client over a real socket, which can also send bytes that are no message. */
export class RawClient implements Disposable {
  readonly #client: Client;

  constructor(port: number) {
    this.#client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
      "grpc.use_local_subchannel_pool": 1,
      "grpc.enable_retries": 0,
    });
  }

  unary<Input extends DescMessage, Output extends DescMessage>(
    method: DescMethodUnary<Input, Output>,
    request: MessageInitShape<Input> | Buffer,
    options: CallOptions = {},
  ): Promise<MessageShape<Output>> {
    return new Promise((resolve, reject) => {
      const call = this.#client.makeUnaryRequest(
        pathOf(method),
        serialize(method.input),
        (bytes) => fromBinary(method.output, bytes),
        request,
        toMetadata(options),
        (error, response) => (error ? reject(error) : resolve(response!)),
      );
      options.signal?.addEventListener("abort", () => call.cancel(), { once: true });
    });
  }

  stream<Input extends DescMessage, Output extends DescMessage>(
    method: DescMethodServerStreaming<Input, Output>,
    request: MessageInitShape<Input> | Buffer,
    options: CallOptions = {},
  ): ClientReadableStream<MessageShape<Output>> {
    const call = this.#client.makeServerStreamRequest(
      pathOf(method),
      serialize(method.input),
      (bytes) => fromBinary(method.output, bytes),
      request,
      toMetadata(options),
    );
    call.on("error", () => {}); // Whoever reads the stream sees it; nobody else has to.
    return call;
  }

  /** One message of bytes to a path, and what comes back, also of a service whose descriptor is not at hand. */
  bytes(path: string, request: Buffer, options: CallOptions = {}): ClientReadableStream<Buffer> {
    const asIs = (bytes: Buffer) => bytes;
    return this.#client.makeServerStreamRequest(path, asIs, asIs, request, toMetadata(options));
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}

/** What google.rpc.Status says of an error. */
export function detailsOf(error: unknown): {
  code: number;
  message: string;
  domain: string | undefined;
  reason: string | undefined;
  metadata: Record<string, string>;
  violations: { field: string; description: string }[];
  retryMs: number | undefined;
} {
  const { code, details, metadata } = error as ServiceError;
  const [bytes] = metadata?.get("grpc-status-details-bin") ?? [];
  const status = fromBinary(StatusSchema, (bytes as Buffer | undefined) ?? new Uint8Array());
  const find = <Desc extends DescMessage>(desc: Desc) =>
    status.details.map((any) => anyUnpack(any, desc)).find((message) => message !== undefined);
  const info = find(ErrorInfoSchema);
  const retryDelay = find(RetryInfoSchema)?.retryDelay;
  return {
    code,
    message: details,
    domain: info?.domain,
    reason: info?.reason,
    metadata: info?.metadata ?? {},
    violations: (find(BadRequestSchema)?.fieldViolations ?? []).map(({ field, description }) => ({
      field,
      description,
    })),
    retryMs: retryDelay && durationMs(retryDelay),
  };
}

/** The error that a promise, or the reading of a stream, ends with. */
export async function failureOf(outcome: Promise<unknown> | AsyncIterable<unknown>) {
  try {
    if (Symbol.asyncIterator in outcome) for await (const message of outcome) void message;
    else await outcome;
  } catch (error) {
    return detailsOf(error);
  }
  throw new Error("It did not fail.");
}

export function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

function serialize<Input extends DescMessage>(desc: Input): (request: MessageInitShape<Input> | Buffer) => Buffer {
  return (request) =>
    Buffer.isBuffer(request) ? request : Buffer.from(toBinary(desc, create(desc, request as MessageInitShape<Input>)));
}

function toMetadata({ metadata = {} }: CallOptions): Metadata {
  const result = new Metadata();
  for (const [key, value] of Object.entries(metadata)) result.set(key, value);
  return result;
}
