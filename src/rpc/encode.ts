import { toBinary } from "@bufbuild/protobuf";
import type { DescMessage, Message, MessageShape } from "@bufbuild/protobuf";
import { EventSchema } from "../gen/spool/v1/event_pb.ts";
import type { Event } from "../gen/spool/v1/event_pb.ts";
import {
  GetEventsResponseSchema,
  RunTaskResponseSchema,
  StreamEventsResponseSchema,
} from "../gen/spool/v1/task_service_pb.ts";

/** The messages that carry a stretch of a tape, all of them as `repeated Event events = 1`. */
const TAPE_FRAMES: ReadonlySet<DescMessage> = new Set([
  GetEventsResponseSchema,
  StreamEventsResponseSchema,
  RunTaskResponseSchema,
]);

type TapeFrame = Message & { events: readonly Event[] };

/** Field 1, length-delimited. */
const EVENTS_TAG = 0x0a;

/**
 * Each event's bytes in a frame, with its tag and length. An event is encoded once, however many follow its tape:
 * for every other reader its frame is a copy of these bytes.
 */
const encodedEvents = new WeakMap<Event, Uint8Array>();

/** What an event adds to a frame, in bytes. Encodes the event unless it has been before. */
export function eventFieldBytes(event: Event): number {
  return encodedEvent(event).length;
}

/** Gives the encoder of a type of message, which is toBinary but for frames of events, whose events it reuses. */
export function encoderOf<Desc extends DescMessage>(desc: Desc): (message: MessageShape<Desc>) => Buffer {
  if (TAPE_FRAMES.has(desc)) return (message) => encodeTapeFrame(desc, message as MessageShape<Desc> & TapeFrame);
  return (message) => toBuffer(toBinary(desc, message));
}

function encodeTapeFrame<Desc extends DescMessage>(desc: Desc, message: MessageShape<Desc> & TapeFrame): Buffer {
  // Protobuf leaves the order of fields open, so everything but the events is encoded as usual and put behind them.
  const rest = toBinary(desc, { ...message, events: [] });
  let size = rest.length;
  for (const event of message.events) size += encodedEvent(event).length;
  const frame = Buffer.allocUnsafe(size);
  let end = 0;
  for (const event of message.events) {
    const bytes = encodedEvent(event);
    frame.set(bytes, end);
    end += bytes.length;
  }
  frame.set(rest, end);
  return frame;
}

function encodedEvent(event: Event): Uint8Array {
  let bytes = encodedEvents.get(event);
  if (bytes === undefined) {
    bytes = encodeEventField(event);
    encodedEvents.set(event, bytes);
  }
  return bytes;
}

function encodeEventField(event: Event): Uint8Array {
  const body = toBinary(EventSchema, event);
  const prefix = [EVENTS_TAG];
  let length = body.length;
  for (; length > 0x7f; length >>>= 7) prefix.push((length & 0x7f) | 0x80);
  prefix.push(length);
  const field = new Uint8Array(prefix.length + body.length);
  field.set(prefix);
  field.set(body, prefix.length);
  return field;
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
