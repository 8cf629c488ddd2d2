import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { EmittedType } from "../domain/emission.ts";
import type { EventBodies } from "../domain/event.ts";
import { LogLevel } from "../gen/spool/v1/event_pb.ts";
import { NewEventSchema } from "../gen/spool/v1/worker_service_pb.ts";

/** What a worker sends most of, put in bytes at once: what code does to its objects afterwards changes nothing. */
const tagOf = (field: number) => ((field << 3) | WireType.LengthDelimited) >>> 0;

const ENCODERS: { readonly [Type in EmittedType]: (body: EventBodies[Type]) => Uint8Array } = {
  progress({ phase, current, total, detail }) {
    if (detail !== undefined) {
      const value = { phase, current: BigInt(current), total: BigInt(total), detail };
      return toBinary(NewEventSchema, create(NewEventSchema, { body: { case: "progress", value } }));
    }
    const writer = new BinaryWriter().tag(4, WireType.LengthDelimited).fork().tag(1, WireType.LengthDelimited);
    writer.string(phase);
    if (current !== 0) writer.tag(2, WireType.Varint).int64(current);
    if (total !== 0) writer.tag(3, WireType.Varint).int64(total);
    return writer.join().finish();
  },
  log({ level, message }) {
    const writer = new BinaryWriter().tag(5, WireType.LengthDelimited).fork();
    writer.tag(1, WireType.Varint).int32(LogLevel[level]);
    return writer.tag(2, WireType.LengthDelimited).string(message).join().finish();
  },
  partial: (value) => toBinary(NewEventSchema, create(NewEventSchema, { body: { case: "partial", value } })),
};

/** A NewEvent in its bytes. */
export function encodeNewEvent<Type extends EmittedType>(type: Type, body: EventBodies[Type]): Uint8Array {
  return ENCODERS[type](body);
}

/** A WorkRequest with an Append of events that are in bytes already. */
export function encodeAppend(
  { taskId, attempt }: { taskId: string; attempt: number },
  firstNumber: bigint,
  events: readonly Uint8Array[],
): Uint8Array {
  const writer = new BinaryWriter().tag(2, WireType.LengthDelimited).fork();
  writer.tag(1, WireType.LengthDelimited).string(taskId);
  writer.tag(2, WireType.Varint).int32(attempt);
  writer.tag(3, WireType.Varint).int64(firstNumber);
  for (const event of events) writer.uint32(tagOf(4)).bytes(event);
  return writer.join().finish();
}
