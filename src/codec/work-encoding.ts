import { create, toBinary } from "@bufbuild/protobuf";
import type { EmittedType } from "../domain/emission.ts";
import type { EventBodies } from "../domain/event.ts";
import { LogLevel } from "../gen/spool/v1/event_pb.ts";
import { NewEventSchema } from "../gen/spool/v1/worker_service_pb.ts";
import { toPartialMessage } from "./partial.ts";
import { ProtobufWriter } from "./protobuf-writer.ts";

// Encodes the most frequent messages of a worker by hand, and at once: later changes to the code's objects have no
// effect. `test/codec/work-encoding.test.ts` checks that protobuf-es decodes them.

const writer = new ProtobufWriter();

/** Returns the written bytes and clears the writer. */
function written(): Buffer {
  const bytes = writer.copy(writer.length);
  writer.clear();
  return bytes;
}

const ENCODERS: { readonly [Type in EmittedType]: (body: EventBodies[Type]) => Uint8Array } = {
  progress({ phase, current, total, detail }) {
    if (detail !== undefined) {
      const value = { phase, current: BigInt(current), total: BigInt(total), detail };
      return toBinary(NewEventSchema, create(NewEventSchema, { body: { case: "progress", value } }));
    }
    const progress = writer.open(4);
    writer.string(1, phase);
    if (current !== 0) writer.integer(2, current);
    if (total !== 0) writer.integer(3, total);
    writer.close(progress);
    return written();
  },
  log({ level, message }) {
    const log = writer.open(5);
    writer.integer(1, LogLevel[level]);
    if (message !== "") writer.string(2, message);
    writer.close(log);
    return written();
  },
  partial(body) {
    const value = toPartialMessage(body);
    return toBinary(NewEventSchema, create(NewEventSchema, { body: { case: "partial", value } }));
  },
};

/** Encodes a NewEvent. */
export function encodeNewEvent<Type extends EmittedType>(type: Type, body: EventBodies[Type]): Uint8Array {
  return ENCODERS[type](body);
}

/** Encodes a WorkRequest with an Append of encoded events. */
export function encodeAppend(
  { taskId, attempt }: { taskId: string; attempt: number },
  firstNumber: bigint,
  events: readonly Uint8Array[],
): Buffer {
  const append = writer.open(2);
  writer.string(1, taskId);
  writer.integer(2, attempt);
  writer.integer(3, firstNumber);
  for (const event of events) writer.bytes(4, event);
  writer.close(append);
  return written();
}
