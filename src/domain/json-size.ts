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

  /** The same, as seen from what holds the value there. */
  within(place: string): NotJson {
    const isBeside = place === "" || this.path === "" || this.path.startsWith("[");
    return new NotJson(`${place}${isBeside ? "" : "."}${this.path}`, this.problem);
  }
}

/**
 * Checks that a value is JSON that every endpoint sends exactly, and measures it.
 *
 * @returns its size as a google.protobuf.Struct or Value, in bytes. The same value as JSON text may be smaller
 *   (numbers) or larger (escapes), so a bound holds for both.
 * @throws NotJson for what would be mangled: a number that is not finite, an unpaired surrogate, undefined,
 *   a class instance, anything nested deeper than depthMax, more than valuesMax values.
 */
export function measureJson(value: unknown, depthMax: number, path = "", valuesMax = Infinity): number {
  valuesLeft = valuesMax;
  try {
    return measure(value, depthMax);
  } catch (error) {
    if (!(error instanceof NotJson)) throw error;
    // Which of its values is one too many says nothing.
    if (valuesLeft < 0) throw new NotJson(path, `must hold at most ${valuesMax.toLocaleString("en-US")} values`);
    throw error.within(path);
  }
}

/** Of the value that is measured. Measuring is synchronous, so one counter does for all. */
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

// Where something is wrong is told by who has come by there, on the way out: on the good way no path is made.

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

/** A string's length in UTF-8. Throws NotJson for an unpaired surrogate, which UTF-8 cannot carry. */
export function utf8Bytes(text: string): number {
  if (!text.isWellFormed()) throw new NotJson("", "must not hold an unpaired surrogate");
  return Buffer.byteLength(text);
}

/** The size of a protobuf field that holds so many bytes: tag, length, content. */
export function delimited(bytes: number): number {
  return 1 + (bytes < 0x80 ? 1 : bytes < 0x4000 ? 2 : bytes < 0x20_0000 ? 3 : 4) + bytes;
}
