// Code may throw anything: a revoked proxy, an error with a message getter that throws, an object without a string
// form. These functions read thrown values and never throw.

/** Whether a value is an instance of a class; false if the check throws. */
export function isInstance<Type>(value: unknown, type: abstract new (...args: never) => Type): value is Type {
  try {
    return value instanceof type;
  } catch {
    return false;
  }
}

/** Returns what a function reads, or the fallback if it throws. */
export function readOr<Value>(read: () => Value, fallback: Value): Value {
  try {
    return read();
  } catch {
    return fallback;
  }
}

/** Returns the text of a thrown value for people: an error's message, or the value as a string. */
export function messageOf(thrown: unknown): string {
  return readOr(
    () => String(isInstance(thrown, Error) ? thrown.message : thrown),
    "the code of the task threw a value that has no text",
  );
}

/** Returns a thrown value as texts, for consumers that would read its fields themselves. */
export function textsOf(thrown: unknown): { name: string; message: string; stack?: string } {
  const message = messageOf(thrown);
  if (!isInstance(thrown, Error)) return { name: typeof thrown, message };
  const name = readOr(() => String(thrown.name), "Error");
  const stack = readOr(() => String(thrown.stack ?? ""), "");
  return { name, message, ...(stack !== "" && { stack }) };
}
