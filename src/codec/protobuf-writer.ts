const VARINT = 0;
const FIXED64 = 1;
const DELIMITED = 2;

/** What a writer starts with, and keeps between two messages at the most. */
const SCRATCH_BYTES = 256 * 1024;
/** A tag of a field below 16, and the longest varint. */
const HEAD_BYTES_MAX = 11;
/** Shorter texts are copied character by character: for them a call of Buffer takes longer than the work. */
const SHORT_CHARS = 48;

/**
 * Writes protobuf fields one after the other, in the order of the calls, into memory that grows. It knows the wire
 * format and no schema: what is left out for being a default is for the caller to say. Fields are 1 to 15, which is
 * what keeps every tag in one byte.
 */
export class ProtobufWriter {
  #buffer = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  #end = 0;

  /** How many bytes stand written. */
  get length(): number {
    return this.#end;
  }

  /** Forgets what stands written. */
  clear(): void {
    this.#end = 0;
    if (this.#buffer.length > SCRATCH_BYTES) this.#buffer = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  }

  /** A copy of the first so many bytes. */
  copy(length: number): Buffer {
    const copy = Buffer.allocUnsafe(length);
    this.#buffer.copy(copy, 0, 0, length);
    return copy;
  }

  /** An integer or an enum: what int32, int64 and bool have in common on the wire. */
  integer(field: number, value: number | bigint): void {
    this.#reserve(HEAD_BYTES_MAX);
    this.#tag(field, VARINT);
    const number = Number(value); // What is rounded by it is not safe either.
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

  /** A field that is in bytes already: a message, or text. */
  bytes(field: number, value: Uint8Array): void {
    this.#reserve(HEAD_BYTES_MAX + value.length);
    this.#tag(field, DELIMITED);
    this.#varint(value.length);
    this.#buffer.set(value, this.#end);
    this.#end += value.length;
  }

  /** Opens a message in a field: what is written until it is closed is its content. @returns what close takes */
  open(field: number): number {
    this.#reserve(HEAD_BYTES_MAX);
    this.#tag(field, DELIMITED);
    return ++this.#end;
  }

  close(start: number): void {
    const length = this.#end - start;
    // One byte was left for the length, which is enough for most; the content of the others moves up.
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

  /** @returns false, with nothing written, where there is more in it than ASCII */
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

  /** @param value an integer from 0 to 2^53 - 1, which is more than the bit operators hold */
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
