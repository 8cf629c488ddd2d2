import { delimited, NotJson, utf8Bytes } from "./json-size.ts";
import type { JsonObject, JsonValue } from "./json.ts";

const NUMBER_BYTES = 9;
const WORD_BYTES = 2;

/**
 * Copies a value of a kind's code, and measures the copy like measureJson. Each member is read once, so the copy is
 * what was validated: a getter or a proxy that later returns another value, or a `toJSON` that throws, has no effect.
 * Stops reading once the value is larger than bytesMax or holds more than valuesMax values.
 *
 * @returns the copy, and its size as protobuf in bytes; null if it is larger than bytesMax
 * @throws NotJson like measureJson, and anything that a getter or a proxy throws
 */
export function copyJson(
  value: unknown,
  { depthMax, bytesMax, valuesMax = Infinity }: { depthMax: number; bytesMax: number; valuesMax?: number },
): { copy: JsonValue; bytes: number } | null {
  const left = { values: valuesMax };
  try {
    return copyValue(value, { depthMax, bytesMax, left });
  } catch (error) {
    // The path of the value past the limit is of no use.
    if (left.values < 0) throw new NotJson("", `must hold at most ${valuesMax.toLocaleString("en-US")} values`);
    throw error;
  }
}

interface Bounds {
  depthMax: number;
  bytesMax: number;
  /** How many more values may be copied, shared by all nested values. */
  left: { values: number };
}

type Copied = ReturnType<typeof copyJson>;

function copyValue(value: unknown, bounds: Bounds): Copied {
  const { depthMax, bytesMax, left } = bounds;
  if (--left.values < 0) throw new NotJson("", "must hold fewer values");
  switch (typeof value) {
    case "boolean":
      return { copy: value, bytes: WORD_BYTES };
    case "number":
      if (!Number.isFinite(value)) throw new NotJson("", "must be a finite number");
      return { copy: value, bytes: NUMBER_BYTES };
    case "string":
      return bounded(value, delimited(utf8Bytes(value)), bytesMax);
    case "object":
      break;
    default:
      throw new NotJson("", `must be JSON, not ${typeof value}`);
  }
  if (value === null) return { copy: null, bytes: WORD_BYTES };
  if (depthMax === 0) throw new NotJson("", "must not nest deeper");
  const within = { ...bounds, depthMax: depthMax - 1 };
  if (Array.isArray(value)) return copyItems(value, within);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) throw new NotJson("", "must be a plain object");
  return copyMembers(value as Readonly<Record<string, unknown>>, within);
}

function copyItems(items: readonly unknown[], bounds: Bounds): Copied {
  const copy: JsonValue[] = [];
  let bytes = 0;
  const { length } = items;
  for (let index = 0; index < length; index++) {
    const item = copyAt(`[${index}]`, items[index], bounds);
    if (item === null || (bytes += delimited(item.bytes)) > bounds.bytesMax) return null;
    copy.push(item.copy);
  }
  return bounded(copy, delimited(bytes), bounds.bytesMax);
}

function copyMembers(object: Readonly<Record<string, unknown>>, bounds: Bounds): Copied {
  const copy: JsonObject = {};
  let bytes = 0;
  for (const key of Object.keys(object)) {
    const member = copyAt(key, object[key], bounds);
    if (member === null) return null;
    bytes += delimited(delimited(utf8Bytes(key)) + delimited(member.bytes));
    if (bytes > bounds.bytesMax) return null;
    if (key === "__proto__") define(copy, key, member.copy);
    else copy[key] = member.copy;
  }
  return bounded(copy, delimited(bytes), bounds.bytesMax);
}

function copyAt(place: string, value: unknown, bounds: Bounds): Copied {
  try {
    return copyValue(value, bounds);
  } catch (error) {
    throw error instanceof NotJson ? error.within(place) : error;
  }
}

function bounded(copy: JsonValue, bytes: number, bytesMax: number): Copied {
  return bytes > bytesMax ? null : { copy, bytes };
}

/** Defines a member named `__proto__`. An assignment would set the prototype. */
function define(copy: JsonObject, key: string, value: JsonValue): void {
  Object.defineProperty(copy, key, { value, enumerable: true, configurable: true, writable: true });
}
