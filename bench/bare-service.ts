import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { MethodDefinition } from "@grpc/grpc-js";
import { EventSchema } from "../src/gen/spool/v1/event_pb.ts";
import { TaskStatus } from "../src/gen/spool/v1/task_pb.ts";
import { StreamEventsResponseSchema } from "../src/gen/spool/v1/task_service_pb.ts";

// A gRPC service with nothing in it: what grpc-js itself takes for the same number of calls and bytes.

/** Answers nothing to nothing. */
export const EMPTY = method("/bench.Bare/Empty", { responseStream: false });
/** Sends frames that it has. The request is a StreamRequest as JSON. */
export const STREAM = method("/bench.Bare/Stream", { responseStream: true });
/** Lets the streams go on that wait. Answers nothing to nothing. */
export const RELEASE = method("/bench.Bare/Release", { responseStream: false });

export interface StreamRequest {
  frames: number;
  /** How many events each frame holds. */
  events: number;
  /** Whether it sends an empty frame, and the others once it is released. */
  waits?: boolean;
}

/** A tape as Spool sends it, in frames full of progress events, encoded. */
export function encodedTape({ frames, events }: { frames: number; events: number }): Buffer[] {
  return Array.from({ length: frames }, (_, index) => {
    const firstSeq = index * events + 1;
    return encodedFrame({ firstSeq, events, lastSeq: frames * events });
  });
}

function encodedFrame({ firstSeq, events, lastSeq }: { firstSeq: number; events: number; lastSeq: number }): Buffer {
  const time = timestampFromDate(new Date());
  const total = BigInt(lastSeq);
  const message = create(StreamEventsResponseSchema, {
    events: Array.from({ length: events }, (_, index) => {
      const seq = BigInt(firstSeq + index);
      const value = { phase: "burst", current: seq, total };
      return create(EventSchema, { seq, time, body: { case: "progress", value } });
    }),
    nextFromSeq: BigInt(firstSeq + events),
    lastSeq: total,
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
