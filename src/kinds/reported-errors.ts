import type { JsonObject } from "../domain/json.ts";

/** The errors that a report lists; the tape has them all. Both bounds keep a result far below its 3 MiB. */
export const REPORTED_ERRORS_MAX = 1_000;
export const REPORTED_ERRORS_BYTES_MAX = 1024 * 1024;

/** Gathers the errors of single sources for a report: the first ones in full, and how many there were. */
export function gatherErrors(): {
  add(error: JsonObject): void;
  report(): { errors: JsonObject[]; errors_total: number };
} {
  const errors: JsonObject[] = [];
  let bytes = 0;
  let total = 0;
  return {
    add(error) {
      total += 1;
      bytes += Buffer.byteLength(JSON.stringify(error));
      if (errors.length < REPORTED_ERRORS_MAX && bytes <= REPORTED_ERRORS_BYTES_MAX) errors.push(error);
    },
    report: () => ({ errors, errors_total: total }),
  };
}
