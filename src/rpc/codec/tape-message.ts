import { create, toBinary } from "@bufbuild/protobuf";
import type { DescMessage, Message, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type {
  GetEventsResponseSchema,
  RunTaskResponseSchema,
  StreamEventsResponseSchema,
} from "../../gen/spool/v1/task_service_pb.ts";
import { toEventMessage } from "../../codec/event.ts";
import type { TapeFrame } from "./frames.ts";

/** The messages that carry a stretch of a tape, all of them as `repeated Event events = 1`. */
type TapeSchema = typeof GetEventsResponseSchema | typeof StreamEventsResponseSchema | typeof RunTaskResponseSchema;

const bytesOf = new WeakMap<Message, Buffer>();

/**
 * Makes the message of a frame, and its bytes with it.
 *
 * @param fields all of it but the events
 */
export function tapeMessage<Desc extends TapeSchema>(
  desc: Desc,
  { events, encodedEvents }: TapeFrame,
  fields: MessageInitShape<Desc>,
): MessageShape<Desc> {
  const convert = () => events.map(toEventMessage);
  return lazyMessage<DescMessage>(desc, create<DescMessage>(desc, fields), {
    field: "events",
    convert,
    encoded: encodedEvents,
  }) as MessageShape<Desc>;
}

/**
 * Adds a field to a message, and makes its bytes. To who reads it, it is a message like any other, whose field is
 * converted when it is first asked for, as an endpoint that speaks JSON does. An endpoint that speaks protobuf takes the bytes,
 * and never pays for messages that it would only encode.
 *
 * @param rest all of the message but the field
 * @param lazy.encoded the field, with its tag
 */
export function lazyMessage<Desc extends DescMessage>(
  desc: Desc,
  rest: MessageShape<Desc>,
  { field, convert, encoded }: { field: string; convert: () => unknown; encoded: Buffer },
): MessageShape<Desc> {
  let converted: unknown;
  const message = Object.defineProperty({ ...rest }, field, {
    enumerable: true,
    get: () => (converted ??= convert()),
  });
  // Protobuf leaves the order of fields open: what is joined reads as if it had been written as one.
  bytesOf.set(message, Buffer.concat([encoded, toBinary(desc, rest)]));
  return message;
}

/** Encodes a message; what tapeMessage made is encoded already. */
export function encodeMessage<Desc extends DescMessage>(desc: Desc, message: MessageShape<Desc>): Buffer {
  const ready = bytesOf.get(message);
  if (ready !== undefined) return ready;
  const bytes = toBinary(desc, message);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
