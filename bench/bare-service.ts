import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { MethodDefinition } from "@grpc/grpc-js";
import { EventSchema } from "../src/gen/spool/v1/event_pb.ts";
import { TaskStatus } from "../src/gen/spool/v1/task_pb.ts";
import { StreamEventsResponseSchema } from "../src/gen/spool/v1/task_service_pb.ts";

// A gRPC service with nothing in it: what grpc-js itself takes for the same number of calls and bytes.

/** Answers nothing to nothing. */
export const EMPTY = method("/bench.Bare/Empty", { responseStream: false });
/** Sends the same frame over and over. The request is a StreamRequest as JSON. */
export const STREAM = method("/bench.Bare/Stream", { responseStream: true });

export interface StreamRequest {
  frames: number;
  /** How many events each frame holds. */
  events: number;
}

/** A frame as Spool sends it, full of progress events, encoded. */
export function encodedFrame(events: number): Buffer {
  const time = timestampFromDate(new Date());
  const body = { phase: "burst", current: 12_345n, total: 20_000n };
  const message = create(StreamEventsResponseSchema, {
    events: Array.from({ length: events }, (_, index) =>
      create(EventSchema, { seq: BigInt(index + 1), time, body: { case: "progress", value: body } }),
    ),
    nextFromSeq: BigInt(events + 1),
    lastSeq: BigInt(events),
    status: TaskStatus.RUNNING,
  });
  return Buffer.from(toBinary(StreamEventsResponseSchema, message));
}

function method(path: string, { responseStream }: { responseStream: boolean }): MethodDefinition<Buffer, Buffer> {
  const asIs = (bytes: Buffer) => bytes;
  return {
    path,
    requestStream: false,
    responseStream,
    requestSerialize: asIs,
    requestDeserialize: asIs,
    responseSerialize: asIs,
    responseDeserialize: asIs,
  };
}
