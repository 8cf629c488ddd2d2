const VARINT = 0;
const FIXED64 = 1;
const DELIMITED = 2;

/** The initial buffer size, and the most that a writer holds between two messages. */
const SCRATCH_BYTES = 256 * 1024;
/** The size of a one-byte tag and the longest varint. */
const HEAD_BYTES_MAX = 11;
/** Texts up to this length are copied character by character, which is faster than a call of Buffer. */
const SHORT_CHARS = 48;

/**
 * Writes protobuf fields in the order of the calls into a growing buffer. It knows the wire format but no schema: the
 * caller omits default values. Field numbers are 1 to 15, so every tag takes one byte.
 */
export class ProtobufWriter {
  #buffer = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  #end = 0;

  /** The number of written bytes. */
  get length(): number {
    return this.#end;
  }

  /** Discards the written bytes. */
  clear(): void {
    this.#end = 0;
    if (this.#buffer.length > SCRATCH_BYTES) this.#buffer = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  }

  /** Returns a copy of the first `length` bytes. */
  copy(length: number): Buffer {
    const copy = Buffer.allocUnsafe(length);
    this.#buffer.copy(copy, 0, 0, length);
    return copy;
  }

  /** Writes an integer or an enum: int32, int64 and bool have the same form. */
  integer(field: number, value: number | bigint): void {
    this.#reserve(HEAD_BYTES_MAX);
    this.#tag(field, VARINT);
    const number = Number(value); // A value that this rounds is not a safe integer either.
    if (number >= 0 && number <= Number.MAX_SAFE_INTEGER) this.#varint(number);
    else this.#longVarint(BigInt.asUintN(64, BigInt(value)));
  }

  double(field: number, value: number): void {
    this.#reserve(HEAD_BYTES_MAX);
    this.#tag(field, FIXED64);
    this.#end = this.#buffer.writeDoubleLE(value, this.#end);
  }

  string(field: number, value: string): void {
    if (value.length <= SHORT_CHARS && this.#shortAscii(field, value)) return;
    const bytes = Buffer.byteLength(value);
    this.#reserve(HEAD_BYTES_MAX + bytes);
    this.#tag(field, DELIMITED);
    this.#varint(bytes);
    this.#end += this.#buffer.write(value, this.#end, "utf8");
  }

  /** Writes a field from its encoded content: a message or text. */
  bytes(field: number, value: Uint8Array): void {
    this.#reserve(HEAD_BYTES_MAX + value.length);
    this.#tag(field, DELIMITED);
    this.#varint(value.length);
    this.#buffer.set(value, this.#end);
    this.#end += value.length;
  }

  /** Opens a message in a field. Everything until `close` is its content. @returns the argument for `close` */
  open(field: number): number {
    this.#reserve(HEAD_BYTES_MAX);
    this.#tag(field, DELIMITED);
    return ++this.#end;
  }

  close(start: number): void {
    const length = this.#end - start;
    // `open` reserved one byte for the length, which is usually enough. Longer content moves up.
    let extra = 0;
    for (let rest = length >>> 7; rest > 0; rest >>>= 7) extra++;
    if (extra > 0) {
      this.#reserve(extra);
      this.#buffer.copyWithin(start + extra, start, this.#end);
    }
    this.#end = start - 1;
    this.#varint(length);
    this.#end += length;
  }

  #tag(field: number, wireType: number): void {
    this.#buffer[this.#end++] = (field << 3) | wireType;
  }

  /** @returns false, without writing, if the text is not ASCII */
  #shortAscii(field: number, value: string): boolean {
    this.#reserve(HEAD_BYTES_MAX + SHORT_CHARS);
    const buffer = this.#buffer;
    let end = this.#end + 2;
    for (let index = 0; index < value.length; index++) {
      const unit = value.charCodeAt(index);
      if (unit > 0x7f) return false;
      buffer[end++] = unit;
    }
    this.#tag(field, DELIMITED);
    buffer[this.#end] = value.length;
    this.#end = end;
    return true;
  }

  /** @param value an integer from 0 to 2^53 - 1, which is more than bit operators can handle */
  #varint(value: number): void {
    let rest = value;
    for (; rest > 0x7fff_ffff; rest = Math.floor(rest / 0x80)) this.#buffer[this.#end++] = (rest % 0x80) | 0x80;
    for (; rest > 0x7f; rest >>>= 7) this.#buffer[this.#end++] = (rest & 0x7f) | 0x80;
    this.#buffer[this.#end++] = rest;
  }

  #longVarint(value: bigint): void {
    let rest = value;
    for (; rest > 0x7fn; rest >>= 7n) this.#buffer[this.#end++] = Number(rest & 0x7fn) | 0x80;
    this.#buffer[this.#end++] = Number(rest);
  }

  #reserve(bytes: number): void {
    const wanted = this.#end + bytes;
    if (wanted <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(2 * this.#buffer.length, wanted));
    this.#buffer.copy(grown, 0, 0, this.#end);
    this.#buffer = grown;
  }
}
