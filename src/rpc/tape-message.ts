import { create, toBinary } from "@bufbuild/protobuf";
import type { DescMessage, Message, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { Event } from "../gen/spool/v1/event_pb.ts";
import type {
  GetEventsResponseSchema,
  RunTaskResponseSchema,
  StreamEventsResponseSchema,
} from "../gen/spool/v1/task_service_pb.ts";
import { toEventMessage } from "./event-message.ts";
import type { TapeFrame } from "./frames.ts";

/** The messages that carry a stretch of a tape, all of them as `repeated Event events = 1`. */
type TapeSchema = typeof GetEventsResponseSchema | typeof StreamEventsResponseSchema | typeof RunTaskResponseSchema;

const bytesOf = new WeakMap<Message, Buffer>();

/**
 * Makes the message of a frame, and its bytes with it. To who reads it, it is a message like any other, whose events
 * are converted when they are first asked for, as a door that speaks JSON does. A door that speaks protobuf takes the
 * bytes, and never pays for messages that it would only encode.
 *
 * @param fields all of it but the events
 */
export function tapeMessage<Desc extends TapeSchema>(
  desc: Desc,
  { events, encodedEvents }: TapeFrame,
  fields: MessageInitShape<Desc>,
): MessageShape<Desc> {
  const rest: Message = create<DescMessage>(desc, fields);
  let converted: Event[] | undefined;
  const message = Object.defineProperty({ ...rest }, "events", {
    enumerable: true,
    get: () => (converted ??= events.map(toEventMessage)),
  }) as MessageShape<Desc>;
  // Protobuf leaves the order of fields open: what is joined reads as if it had been written as one.
  bytesOf.set(message, Buffer.concat([encodedEvents, toBinary<DescMessage>(desc, rest)]));
  return message;
}

/** Encodes a message; what tapeMessage made is encoded already. */
export function encodeMessage<Desc extends DescMessage>(desc: Desc, message: MessageShape<Desc>): Buffer {
  const ready = bytesOf.get(message);
  if (ready !== undefined) return ready;
  const bytes = toBinary(desc, message);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
