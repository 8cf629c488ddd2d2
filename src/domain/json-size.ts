/** A value that JSON or protobuf cannot carry exactly, with the path to it. */
export class NotJson extends Error {
  readonly path: string;
  readonly problem: string;

  constructor(path: string, problem: string) {
    super(path === "" ? problem : `${path}: ${problem}`);
    this.name = "NotJson";
    this.path = path;
    this.problem = problem;
  }

  /** Returns the same error with the path of a containing value. */
  within(place: string): NotJson {
    const isBeside = place === "" || this.path === "" || this.path.startsWith("[");
    return new NotJson(`${place}${isBeside ? "" : "."}${this.path}`, this.problem);
  }
}

/**
 * Validates that a value is JSON that every endpoint can send exactly, and measures it.
 *
 * @returns its size as a google.protobuf.Struct or Value, in bytes. JSON text of the same value may be smaller
 *   (numbers) or larger (escapes), so a bound holds for both.
 * @throws NotJson for a value that would be changed: a number that is not finite, an unpaired surrogate, undefined, a
 *   class instance, nesting deeper than depthMax, or more than valuesMax values
 */
export function measureJson(value: unknown, depthMax: number, path = "", valuesMax = Infinity): number {
  valuesLeft = valuesMax;
  try {
    return measure(value, depthMax);
  } catch (error) {
    if (!(error instanceof NotJson)) throw error;
    // The path of the value past the limit is of no use.
    if (valuesLeft < 0) throw new NotJson(path, `must hold at most ${valuesMax.toLocaleString("en-US")} values`);
    throw error.within(path);
  }
}

/** How many more values the measured value may hold. Measuring is synchronous, so one counter is enough. */
let valuesLeft = 0;

function measure(value: unknown, depthMax: number): number {
  if (--valuesLeft < 0) throw new NotJson("", "must hold fewer values");
  switch (typeof value) {
    case "boolean":
      return 2;
    case "number":
      if (!Number.isFinite(value)) throw new NotJson("", "must be a finite number");
      return 9;
    case "string":
      return delimited(utf8Bytes(value));
    case "object":
      break;
    default:
      throw new NotJson("", `must be JSON, not ${typeof value}`);
  }
  if (value === null) return 2;
  if (depthMax === 0) throw new NotJson("", "must not nest deeper");
  if (Array.isArray(value)) return delimited(measureItems(value, depthMax - 1));
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) throw new NotJson("", "must be a plain object");
  return delimited(measureMembers(value as Readonly<Record<string, unknown>>, depthMax - 1));
}

// The path of an error is built while the error passes up the stack, so that valid values build no paths.

function measureItems(items: readonly unknown[], depthMax: number): number {
  let bytes = 0;
  let index = 0;
  try {
    for (; index < items.length; index++) bytes += delimited(measure(items[index], depthMax));
  } catch (error) {
    throw error instanceof NotJson ? error.within(`[${index}]`) : error;
  }
  return bytes;
}

function measureMembers(object: Readonly<Record<string, unknown>>, depthMax: number): number {
  let bytes = 0;
  let key = "";
  try {
    for (key of Object.keys(object)) {
      bytes += delimited(delimited(utf8Bytes(key)) + delimited(measure(object[key], depthMax)));
    }
  } catch (error) {
    throw error instanceof NotJson ? error.within(key) : error;
  }
  return bytes;
}

/** Returns a string's length in UTF-8. @throws NotJson for an unpaired surrogate, which UTF-8 cannot carry */
export function utf8Bytes(text: string): number {
  if (!text.isWellFormed()) throw new NotJson("", "must not hold an unpaired surrogate");
  return Buffer.byteLength(text);
}

/** Returns the size of a protobuf field with so many bytes of content: tag, length and content. */
export function delimited(bytes: number): number {
  return 1 + (bytes < 0x80 ? 1 : bytes < 0x4000 ? 2 : bytes < 0x20_0000 ? 3 : 4) + bytes;
}
