import { create, ScalarType, toBinary, toJson } from "@bufbuild/protobuf";
import type { DescField, DescMessage, DescMethod, JsonValue, Message } from "@bufbuild/protobuf";
import { requestOf } from "../../access/requests.ts";
import type { SeededRandom } from "./random.ts";

const TEXTS = [
  "",
  " ",
  "\0",
  "a\0b",
  "\u{1F469}\u200D\u{1F469}",
  "\uD800",
  "\u202Eabc",
  "é".normalize("NFD"),
  "__proto__",
  "constructor",
  "toString",
  "../../etc/passwd",
  "%00%ff",
  "'; drop table tasks; --",
  "{}",
  "*",
  "echo",
  "echo*",
  "-1",
  "1e999",
];
/** At and past the bounds of texts. */
const LENGTHS = [63, 64, 128, 129, 255, 256, 257, 1_024, 1_025, 16_385, 70_000];
const INTEGERS = [0, 1, -1, 2, 3, 99, 100, 101, 1_000, 1_001, 10_001, 2 ** 31 - 1, -(2 ** 31)];
const LONGS = [0n, 1n, -1n, 2n ** 31n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)];
const DOUBLES = [0, -0, 0.5, 1, -1, 1e9, 2 ** 53, 1e308, -1e308, Number.MIN_VALUE, NaN, Infinity, -Infinity];
const FIELDS_MAX = 3;
const DEPTHS = [1, 4, 31, 32, 33, 100, 101, 2_000];

/** Random values for requests, most of them odd. The same seed makes the same values. */
export class HostileValues {
  readonly #random: SeededRandom;
  #isShort = false;
  /** Ids, cursors and page tokens that the server knows. */
  readonly known: string[];

  constructor(random: SeededRandom, known: readonly string[]) {
    this.#random = random;
    this.known = [...known];
  }

  chance(share: number): boolean {
    return this.#random.next() < share;
  }

  below(end: number): number {
    return Math.floor(this.#random.next() * end);
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)]!;
  }

  text(): string {
    if (this.#isShort) return this.pick(TEXTS);
    const kind = this.below(5);
    if (kind === 0) return this.pick(this.known);
    if (kind === 1) return this.#changed(this.pick(this.known));
    if (kind === 2) return this.pick(["x", "é", "\u{1F600}"]).repeat(this.pick(LENGTHS));
    return this.pick(TEXTS);
  }

  /** Returns a text with a few characters replaced, removed or repeated. */
  #changed(text: string): string {
    const at = this.below(text.length + 1);
    const kind = this.below(4);
    if (kind === 0) return text.slice(0, at);
    if (kind === 1) return text.slice(0, at) + this.pick(["0", "f", "-", "_", "x", "."]) + text.slice(at + 1);
    if (kind === 2) return text.slice(0, at) + text;
    return text.toUpperCase();
  }

  bytes(length = this.below(64)): Buffer {
    return Buffer.from(Array.from({ length }, () => this.below(256)));
  }

  /** Returns bytes of which some are changed, removed, repeated or inserted. */
  mutated(bytes: Buffer): Buffer {
    let changed = bytes;
    for (let count = 1 + this.below(3); count > 0; count--) {
      const at = this.below(changed.length + 1);
      const [before, after] = [changed.subarray(0, at), changed.subarray(at)];
      const kind = this.below(5);
      if (kind === 0) changed = Buffer.from(before);
      else if (kind === 1) changed = Buffer.concat([before, this.bytes(1 + this.below(8)), after]);
      else if (kind === 2)
        changed = Buffer.concat([before, Buffer.of(this.pick([0, 1, 127, 128, 255])), after.subarray(1)]);
      else if (kind === 3) changed = Buffer.concat([before, after, after.subarray(0, 64)]);
      else changed = Buffer.concat([before, after.subarray(this.below(16))]);
    }
    return changed;
  }

  /** Returns the bytes of a request: valid, odd or broken. */
  binary(method: DescMethod): Buffer {
    const { input } = method;
    let bytes: Buffer;
    try {
      bytes = Buffer.from(toBinary(input, this.#request(method)));
    } catch {
      bytes = this.bytes(); // The library does not encode a value, such as a number out of range.
    }
    return this.chance(0.25) ? this.mutated(bytes) : bytes;
  }

  /** Returns the text of a request as JSON: valid, odd or broken. */
  json(method: DescMethod): Buffer {
    let json: JsonValue;
    try {
      json = toJson(method.input, this.#request(method));
    } catch {
      json = this.#jsonObject(method.input);
    }
    if (this.chance(0.2)) json = this.#jsonObject(method.input);
    let text = JSON.stringify(json);
    if (this.chance(0.05)) text = this.pick(["[", '{"a":', '{"params":{"a":']).repeat(this.pick([10, 1_000, 100_000]));
    if (this.chance(0.05))
      text = text.replace(/\d+/, this.pick(["1e999", "-1e999", "123456789012345678901234567890", "0x1"]));
    const bytes = Buffer.from(text);
    return this.chance(0.2) ? this.mutated(bytes) : bytes;
  }

  /** Returns a valid request with odd values in some fields, or one that is random throughout. */
  #request(method: DescMethod): Message {
    const { input } = method;
    const base = requestOf(method, this.pick(this.known));
    const message = create(input, this.chance(0.8) ? base : {});
    for (let count = this.below(FIELDS_MAX); count > 0 && input.fields.length > 0; count--) {
      this.#set(message, this.pick(input.fields), 0);
    }
    return message;
  }

  #message(desc: DescMessage, depth: number): Message {
    const message = create(desc);
    for (const field of desc.fields) if (this.chance(0.5)) this.#set(message, field, depth);
    return message;
  }

  #set(message: Message, field: DescField, depth: number): void {
    const target = message as Message & Record<string, unknown>;
    const value = this.#valueOf(field, depth);
    if (field.oneof === undefined) target[field.localName] = value;
    else target[field.oneof.localName] = { case: field.localName, value };
  }

  #valueOf(field: DescField, depth: number): unknown {
    switch (field.fieldKind) {
      case "list":
        return this.#many(depth, () => {
          if (field.listKind === "message") return this.#message(field.message, depth + 1);
          return field.listKind === "enum" ? this.pick(INTEGERS) : this.#scalar(field.scalar);
        });
      case "map":
        return Object.fromEntries(this.#many(depth, (index) => [`${this.text()}${index}`, this.text()]));
      case "message":
        if (field.message.typeName === "google.protobuf.Struct") return this.#struct();
        return depth > 4 ? create(field.message) : this.#message(field.message, depth + 1);
      case "enum":
        return this.chance(0.5) ? this.pick(field.enum.values).number : this.pick(INTEGERS);
      case "scalar":
        return this.#scalar(field.scalar);
    }
  }

  /** Makes several values. The texts of many values are short, so that a request is not many MiB. */
  #many<Item>(depth: number, make: (index: number) => Item): Item[] {
    const length = depth > 0 ? 1 : this.pick([0, 1, 2, 3, 33, 101, 1_001]);
    this.#isShort = length > 3;
    const items = Array.from({ length }, (_, index) => make(index));
    this.#isShort = false;
    return items;
  }

  #scalar(type: ScalarType): unknown {
    switch (type) {
      case ScalarType.STRING:
        return this.text();
      case ScalarType.BOOL:
        return this.chance(0.5);
      case ScalarType.BYTES:
        return this.bytes();
      case ScalarType.DOUBLE:
      case ScalarType.FLOAT:
        return this.pick(DOUBLES);
      case ScalarType.INT64:
      case ScalarType.UINT64:
        return this.pick(LONGS);
      default:
        return this.pick(INTEGERS);
    }
  }

  #struct(): Record<string, JsonValue> {
    let value: JsonValue = this.#jsonLeaf();
    const depth = this.pick(DEPTHS);
    for (let level = 0; level < depth; level++)
      value = level % 2 === 0 ? { [this.pick(["a", "", "__proto__"])]: value } : [value];
    if (this.chance(0.1)) value = Array.from({ length: this.pick([100, 20_001]) }, () => null);
    return { [this.pick(["count", "delay_ms", "x", ""])]: value };
  }

  /** Returns an object with fields of a message, whose values may be of wrong types. */
  #jsonObject({ fields }: DescMessage): JsonValue {
    const entries = fields
      .filter(() => this.chance(0.5))
      .map(({ jsonName, name }): [string, JsonValue] => [this.chance(0.8) ? jsonName : name, this.#jsonLeaf()]);
    if (this.chance(0.1)) entries.push([this.text().slice(0, 100), this.#jsonLeaf()]);
    return this.chance(0.05) ? this.#jsonLeaf() : Object.fromEntries(entries);
  }

  #jsonLeaf(): JsonValue {
    const texts = () =>
      this.pick(["1s", "-1s", "1e9s", "2026-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "NaN", "RECORDED"]);
    return this.pick<() => JsonValue>([
      () => null,
      () => this.chance(0.5),
      () => this.pick([...INTEGERS, 0.5, 1e300]),
      () => this.text(),
      texts,
      () => [],
      () => [this.text(), 1, null],
      () => ({}),
      () => ({ [this.text().slice(0, 100)]: this.text() }),
    ])();
  }
}
