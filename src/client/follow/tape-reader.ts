import { fromBinary } from "@bufbuild/protobuf";
import type { Message as ProtobufMessage } from "@bufbuild/protobuf";
import type { GenMessage } from "@bufbuild/protobuf/codegenv2";
import type { Event } from "../../gen/spool/v1/event_pb.ts";
import { fromEventMessage } from "../../codec/event.ts";
import type { TapeAnswer } from "../../codec/tape-page.ts";
import { EventReader } from "./event-reader.ts";
import type { SpoolEvent } from "../types.ts";

/** The tag of `repeated Event events = 1`, which all messages with events have in common. */
const EVENTS = 0x0a;

/**
 * Decodes a message with events.
 *
 * @throws Error for bytes that are not such a message
 */
export function readTapeAnswer<Message extends { events: Event[] } & ProtobufMessage>(
  desc: GenMessage<Message>,
  bytes: Buffer,
): TapeAnswer<Message> {
  const reader = new EventReader(bytes);
  const events: SpoolEvent[] = [];
  let at = 0;
  while (bytes[at] === EVENTS) {
    let length = 0;
    let scale = 1;
    for (at++; bytes[at]! >= 0x80; at++, scale *= 0x80) length += (bytes[at]! - 0x80) * scale;
    length += bytes[at]! * scale;
    const start = at + 1;
    at = start + length;
    if (!(at <= bytes.length)) throw new RangeError("premature end of a message");
    events.push(reader.read(start, at));
  }
  const message = fromBinary(desc, bytes.subarray(at));
  // A server may write other fields before the events, though none does.
  events.push(...message.events.map(fromEventMessage));
  return { message, events };
}
