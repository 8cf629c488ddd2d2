import { ScalarType } from "@bufbuild/protobuf";
import type { DescField, DescMessage } from "@bufbuild/protobuf";

const VARINT = 0;
const FIXED64 = 1;
const DELIMITED = 2;
const GROUP_START = 3;
const GROUP_END = 4;
const FIXED32 = 5;

/** A JSON value takes up to six records: its entry, its key, its Value, and what the Value holds. */
const RECORDS_PER_ENTRY = 8;
/** protobuf-es rejects more than 100 nested messages. */
const DEPTH_MAX = 128;

/** What the scan needs to know about a field, computed once for each message type. */
interface FieldPlan {
  name: string;
  /** A list or a map. */
  isMany: boolean;
  /** The width of the elements of a packed list in bytes, or 0 for varints; null: not a packed list. */
  packedWidth: number | null;
  /** The fields of the message in the field; null: the field holds no message. */
  fields: (() => MessagePlan) | null;
}

type MessagePlan = ReadonlyMap<number, FieldPlan>;

const plans = new WeakMap<DescMessage, MessagePlan>();

/**
 * Counts the entries of lists and maps in an encoded message, at all depths, before it is decoded: the entries make
 * decoding expensive. Unknown fields count as entries. Takes time proportional to the bytes, stops at the first excess
 * entry, and allocates nothing per entry.
 *
 * @returns the name of the field in which entriesMax was exceeded ("" for an unknown field); null: not exceeded.
 *   Malformed bytes are left to the decoder
 */
export function findTooManyEntries(desc: DescMessage, bytes: Uint8Array, entriesMax: number): string | null {
  const scan = new EntryScan(bytes, entriesMax);
  const plan = planOf(desc);
  while (scan.at < bytes.length && !scan.isBroken) {
    const number = scan.field(plan, 0);
    if (scan.isOver) return plan.get(number)?.name ?? "";
  }
  return null;
}

class EntryScan {
  at = 0;
  /** Whether the bytes are malformed. */
  isBroken = false;
  readonly #bytes: Uint8Array;
  #entriesLeft: number;
  #recordsLeft: number;

  constructor(bytes: Uint8Array, entriesMax: number) {
    this.#bytes = bytes;
    this.#entriesLeft = entriesMax;
    this.#recordsLeft = entriesMax * RECORDS_PER_ENTRY;
  }

  get isOver(): boolean {
    return this.#entriesLeft < 0 || this.#recordsLeft < 0;
  }

  /** Skips one field. @returns its number */
  field(plan: MessagePlan, depth: number): number {
    const tag = this.#varint();
    const number = tag >>> 3;
    const field = plan.get(number);
    this.#recordsLeft--;
    if (field === undefined || field.isMany) this.#entriesLeft--;
    switch (tag & 7) {
      case VARINT:
        this.#varint();
        break;
      case FIXED64:
        this.at += 8;
        break;
      case FIXED32:
        this.at += 4;
        break;
      case DELIMITED:
        this.#content(field, this.#varint(), depth);
        break;
      case GROUP_START:
      case GROUP_END:
        break; // No type here has groups. The content of a group counts as if it were outside.
      default:
        this.isBroken = true;
    }
    return number;
  }

  #content(field: FieldPlan | undefined, length: number, depth: number): void {
    const end = this.at + length;
    if (end > this.#bytes.length || depth > DEPTH_MAX) {
      this.isBroken = true;
    } else if (field?.fields) {
      const plan = field.fields();
      while (this.at < end && !this.isBroken && !this.isOver) this.field(plan, depth + 1);
    } else {
      if (field !== undefined && field.packedWidth !== null) this.#packed(end, field.packedWidth);
      this.at = end;
    }
  }

  #packed(end: number, width: number): void {
    if (width > 0) this.#entriesLeft -= Math.floor((end - this.at) / width);
    else {
      for (let at = this.at; at < end && this.#entriesLeft >= 0; at++) if (this.#bytes[at]! < 0x80) this.#entriesLeft--;
    }
  }

  /** Returns the low 32 bits of a varint, which is enough for tags and lengths. */
  #varint(): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.#bytes[this.at++];
      if (byte === undefined) break;
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    this.isBroken = true;
    return 0;
  }
}

function planOf(desc: DescMessage): MessagePlan {
  let plan = plans.get(desc);
  if (plan === undefined) {
    plan = new Map(desc.fields.map((field) => [field.number, planField(field)]));
    plans.set(desc, plan);
  }
  return plan;
}

function planField(field: DescField): FieldPlan {
  const isMany = field.fieldKind === "list" || field.fieldKind === "map";
  return { name: field.name, isMany, packedWidth: packedWidthOf(field), fields: fieldsOf(field) };
}

function fieldsOf(field: DescField): FieldPlan["fields"] {
  const { message } = field;
  if (field.fieldKind !== "map") return message === undefined ? null : () => planOf(message);
  const plain = { isMany: false, packedWidth: null, fields: null };
  const value = { ...plain, name: "value", fields: message === undefined ? null : () => planOf(message) };
  const entry: MessagePlan = new Map([
    [1, { ...plain, name: "key" }],
    [2, value],
  ]);
  return () => entry;
}

const WIDTHS: ReadonlyMap<ScalarType, number> = new Map([
  [ScalarType.DOUBLE, 8],
  [ScalarType.FIXED64, 8],
  [ScalarType.SFIXED64, 8],
  [ScalarType.FLOAT, 4],
  [ScalarType.FIXED32, 4],
  [ScalarType.SFIXED32, 4],
]);

function packedWidthOf(field: DescField): number | null {
  if (field.fieldKind !== "list" || field.listKind === "message") return null;
  if (field.listKind === "enum") return 0;
  if (field.scalar === ScalarType.STRING || field.scalar === ScalarType.BYTES) return null;
  return WIDTHS.get(field.scalar) ?? 0;
}
