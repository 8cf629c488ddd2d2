import type { Violation } from "../../domain/errors.ts";

/** The fields of the form, by proto name. */
export const START_FIELDS = ["kind", "params", "labels", "request_id", "timeout", "max_attempts"] as const;

export type StartField = (typeof START_FIELDS)[number];

/**
 * Groups violations by form field: `params.count` belongs to params. `other`: violations without a field in the form.
 */
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
