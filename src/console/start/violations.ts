import type { Violation } from "../../domain/errors.ts";

/** The fields of the form, by the names that the service has for them. */
export const START_FIELDS = ["kind", "params", "labels", "request_id", "timeout", "max_attempts"] as const;

export type StartField = (typeof START_FIELDS)[number];

/** What is wrong, by the field that it is shown at: `params.count` at params. `other`: what the form has no field for. */
export function sortViolations(
  violations: readonly Violation[],
): Partial<Record<StartField | "other", readonly string[]>> {
  const sorted: Partial<Record<StartField | "other", string[]>> = {};
  for (const { field, description } of violations) {
    const place =
      START_FIELDS.find(
        (name) => field === name || (/^[.[]/.test(field.slice(name.length)) && field.startsWith(name)),
      ) ?? "other";
    const text = field === place ? description : `${field}: ${description}`;
    (sorted[place] ??= []).push(text);
  }
  return sorted;
}
