import { fromBinary } from "@bufbuild/protobuf";
import { EventSchema } from "../../gen/spool/v1/event_pb.ts";
import type { LogLevel } from "../../gen/spool/v1/event_pb.ts";
import { fromLogLevelValue } from "../../codec/log-level.ts";
import { fromEventMessage } from "../../codec/event.ts";
import type { SpoolEvent } from "../types.ts";

// In the protobuf wire format, the tag of a field holds its number and its wire type: one byte for fields below 16.
const VARINT = 0;
const DELIMITED = 2;
const tagOf = (field: number, type: number) => (field << 3) | type;

const TIME = tagOf(2, DELIMITED);
const PROGRESS = tagOf(4, DELIMITED);
const LOG = tagOf(5, DELIMITED);

/** A varint of at most 7 bytes is below 2^49: exact as a number, and never negative. */
const VARINT_BYTES_MAX = 7;
/** Texts up to this length are checked byte by byte for ASCII, which most of them are. */
const SHORT_BYTES = 64;
const ASCII_MAX = 0x7f;
const NANOS_MAX = 999_999_999;
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Thrown for an event in another form than this reader decodes. */
const OTHER_FORM = new Error("not in the form that is read here");

/**
 * Decodes events from their bytes, at a fraction of the cost of protobuf-es. Only progress and log events, which are
 * most of a tape, are decoded here, and only in the form that servers write. protobuf-es decodes all other events and
 * forms. `test/client/follow/event-reader.test.ts` checks that both decoders agree.
 */
export class EventReader {
  readonly #bytes: Buffer;
  #at = 0;
  /** The last decoded text. The next one is often the same. */
  #text = "";

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** @throws Error for bytes that are not an event */
  read(start: number, end: number): SpoolEvent {
    try {
      this.#at = start;
      const event = this.#readPlain(end);
      if (event !== null && this.#at === end) return event;
    } catch (error) {
      if (error !== OTHER_FORM) throw error;
    }
    return fromEventMessage(fromBinary(EventSchema, this.#bytes.subarray(start, end)));
  }

  /** @returns null for an event of another type */
  #readPlain(end: number): SpoolEvent | null {
    const seq = BigInt(this.#integer(1, end));
    if (!this.#has(TIME, end)) return null;
    const time = this.#timestamp(this.#end(end));
    if (this.#has(PROGRESS, end)) return this.#progress(seq, time, this.#end(end));
    if (this.#has(LOG, end)) return this.#log(seq, time, this.#end(end));
    return null;
  }

  #progress(seq: bigint, time: Date, end: number): SpoolEvent {
    const phase = this.#string(1, end);
    const current = this.#integer(2, end);
    const total = this.#integer(3, end);
    this.#assertAt(end); // An event with a detail is left to protobuf-es.
    return { seq, time, type: "progress", phase, current, total };
  }

  #log(seq: bigint, time: Date, end: number): SpoolEvent {
    const level = fromLogLevelValue(this.#integer(1, end) as LogLevel);
    const message = this.#string(2, end);
    this.#assertAt(end);
    if (level === undefined) throw OTHER_FORM;
    return { seq, time, type: "log", level, message };
  }

  #timestamp(end: number): Date {
    const seconds = this.#integer(1, end);
    const nanos = this.#integer(2, end);
    if (nanos > NANOS_MAX) throw OTHER_FORM; // Out of range, and perhaps out of the range of int32.
    this.#assertAt(end);
    return new Date(seconds * 1_000 + Math.round(nanos / 1_000_000));
  }

  /** Whether the next field before `end` has the tag. If so, skips the tag. */
  #has(tag: number, end: number): boolean {
    if (this.#at >= end || this.#bytes[this.#at] !== tag) return false;
    this.#at++;
    return true;
  }

  #integer(field: number, end: number): number {
    return this.#has(tagOf(field, VARINT), end) ? this.#varint(end) : 0;
  }

  #string(field: number, end: number): string {
    if (!this.#has(tagOf(field, DELIMITED), end)) return "";
    const to = this.#end(end);
    const start = this.#at;
    this.#at = to;
    if (!this.#isLastText(start, to)) this.#text = this.#decode(start, to);
    return this.#text;
  }

  #isLastText(start: number, end: number): boolean {
    if (this.#text.length !== end - start) return false;
    for (let at = start; at < end; at++) {
      const byte = this.#bytes[at]!;
      if (byte > ASCII_MAX || byte !== this.#text.charCodeAt(at - start)) return false;
    }
    return true;
  }

  #decode(start: number, end: number): string {
    let isAscii = end - start <= SHORT_BYTES;
    for (let at = start; isAscii && at < end; at++) isAscii = this.#bytes[at]! <= ASCII_MAX;
    return isAscii ? this.#bytes.toString("latin1", start, end) : utf8.decode(this.#bytes.subarray(start, end));
  }

  /** Returns the end of a field with a length prefix, at most `max`. */
  #end(max: number): number {
    const length = this.#varint(max);
    if (this.#at + length > max) throw OTHER_FORM;
    return this.#at + length;
  }

  #varint(end: number): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < VARINT_BYTES_MAX && this.#at < end; count++) {
      const byte = this.#bytes[this.#at++]!;
      if (byte < 0x80) return value + byte * scale;
      value += (byte - 0x80) * scale;
      scale *= 0x80;
    }
    throw OTHER_FORM;
  }

  #assertAt(end: number): void {
    if (this.#at !== end) throw OTHER_FORM;
  }
}
