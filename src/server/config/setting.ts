import type * as v from "valibot";

/** A setting of a server, and how it is read. */
export interface Setting<Value> {
  /** Environment variables. The first one that is set is used. */
  variables: readonly string[];
  schema: v.GenericSchema<unknown, Value>;
  fallback: Value;
}

export function setting<Value>(
  variable: string,
  schema: v.GenericSchema<unknown, Value>,
  fallback: Value,
): Setting<Value> {
  return { variables: [variable], schema, fallback };
}
