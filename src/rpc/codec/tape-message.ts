import { create, toBinary } from "@bufbuild/protobuf";
import type { DescMessage, Message, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type {
  GetEventsResponseSchema,
  RunTaskResponseSchema,
  StreamEventsResponseSchema,
} from "../../gen/spool/v1/task_service_pb.ts";
import { toEventMessage } from "../../codec/event.ts";
import type { TapeFrame } from "./frames.ts";

/** The messages with events, all as `repeated Event events = 1`. */
type TapeSchema = typeof GetEventsResponseSchema | typeof StreamEventsResponseSchema | typeof RunTaskResponseSchema;

const bytesOf = new WeakMap<Message, Buffer>();

/**
 * Creates the message of a frame together with its bytes.
 *
 * @param fields all fields except the events
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
 * Adds a field to a message and encodes the message. Readers see an ordinary message whose field is converted on first
 * access, as an endpoint for JSON does. An endpoint for protobuf takes the bytes and never creates the nested messages.
 *
 * @param rest all of the message except the field
 * @param lazy.encoded the field with its tag
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
  // Protobuf allows fields in any order, so the joined bytes are one valid message.
  bytesOf.set(message, Buffer.concat([encoded, toBinary(desc, rest)]));
  return message;
}

/** Encodes a message. Messages of tapeMessage are encoded already. */
export function encodeMessage<Desc extends DescMessage>(desc: Desc, message: MessageShape<Desc>): Buffer {
  const ready = bytesOf.get(message);
  if (ready !== undefined) return ready;
  const bytes = toBinary(desc, message);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
