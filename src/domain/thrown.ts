// Code may throw anything: a revoked proxy, an error whose message is a getter that throws, an object without a text.
// Whatever reads what was thrown reads it by these functions, none of which throws.

/** Whether a value is an instance of a class. False for what cannot be asked. */
export function isInstance<Type>(value: unknown, type: abstract new (...args: never) => Type): value is Type {
  try {
    return value instanceof type;
  } catch {
    return false;
  }
}

/** What a reading gives; the fallback where it throws. */
export function readOr<Value>(read: () => Value, fallback: Value): Value {
  try {
    return read();
  } catch {
    return fallback;
  }
}

/** What was thrown, for people: an error's message, anything else as a text. */
export function messageOf(thrown: unknown): string {
  return readOr(
    () => String(isInstance(thrown, Error) ? thrown.message : thrown),
    "the code of the task threw what cannot be put in words",
  );
}

/** What was thrown, as texts: for what would read its fields by itself. */
export function textsOf(thrown: unknown): { name: string; message: string; stack?: string } {
  const message = messageOf(thrown);
  if (!isInstance(thrown, Error)) return { name: typeof thrown, message };
  const name = readOr(() => String(thrown.name), "Error");
  const stack = readOr(() => String(thrown.stack ?? ""), "");
  return { name, message, ...(stack !== "" && { stack }) };
}
