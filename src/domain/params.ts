import type { Violation } from "./errors.ts";
import { measureJson, NotJson } from "./json-size.ts";
import { JSON_DEPTH_MAX, PARAMS_BYTES_MAX, PARAMS_VALUES_MAX, PARAMS_WIRE_BYTES_MAX } from "./limits.ts";

/** Returns why a start with these params is rejected, whatever its kind; null: they are JSON within the bounds. */
export function paramsViolation(params: unknown): Violation | null {
  const refused = (description: string) => ({ field: "params", description });
  try {
    const wireBytes = measureJson(params, JSON_DEPTH_MAX, "", PARAMS_VALUES_MAX);
    if (Buffer.byteLength(JSON.stringify(params)) > PARAMS_BYTES_MAX) {
      return refused(`must be at most ${inFigures(PARAMS_BYTES_MAX)} bytes as JSON`);
    }
    if (wireBytes > PARAMS_WIRE_BYTES_MAX) {
      return refused(`must be at most ${inFigures(PARAMS_WIRE_BYTES_MAX)} bytes as protobuf`);
    }
    return null;
  } catch (error) {
    if (!(error instanceof NotJson)) throw error;
    const field = error.path === "" ? "params" : `params.${error.path}`;
    return { field, description: `${error.problem}; params are JSON that nests at most ${JSON_DEPTH_MAX} deep` };
  }
}

function inFigures(value: number): string {
  return value.toLocaleString("en-US");
}
