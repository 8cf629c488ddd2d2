import type { StandardSchemaV1 } from "@standard-schema/spec";
import { InvalidArgument } from "../domain/errors.ts";
import type { JsonObject } from "../domain/json.ts";
import { parseBySchema } from "../domain/kind.ts";
import type { Kind, RemovedTask, TaskContext } from "../domain/kind.ts";
import { KIND_CHARS_MAX } from "../domain/limits.ts";
import { RETRY_BOUNDS } from "../domain/retry.ts";
import type { RetrySettings } from "../domain/retry.ts";

export { defineKinds } from "./define-kinds.ts";
export type { KindPackage, KindsContext, KindsModel } from "./define-kinds.ts";
export { TaskError } from "../domain/kind.ts";
export type { Kind, RemovedTask, TaskContext } from "../domain/kind.ts";
export type { KindDatabase, KindMigration, KindQueries } from "../domain/kind-database.ts";
export { JSON_DEPTH_MAX } from "../domain/limits.ts";
export type { RetrySettings } from "../domain/retry.ts";
export type { JsonObject, JsonValue } from "../domain/json.ts";

const KIND_NAME = new RegExp(`^[A-Za-z0-9._-]{1,${KIND_CHARS_MAX}}$`);

/**
 * Makes a kind of task that `spool serve --kinds ./file.ts` can run.
 *
 * @param name 1 to 128 characters of [A-Za-z0-9._-]; what StartTask names
 * @param params any Standard Schema (valibot, zod, arktype, …), synchronous. StartTask refuses what it refuses, with
 *   `params.FIELD` for each issue. A strict object refuses unknown params too.
 * @param exclusive a key for params of which one task of a namespace may run at a time
 * @param retry how many attempts a task has and how long it waits between them, where its start does not say: by
 *   default one attempt; then 1 s, doubled with each, 5 min at the most, a fifth of it at random
 * @param resumable whether an attempt that was cut short may be made again: a server that stops hands such a task on,
 *   and the attempt does not count. By default not: the task ends, or is tried again where it has attempts left
 * @param run the work. It checks `signal` between units of work and returns the result, a JSON object of at most
 *   3 MiB, or nothing, which stands for `{}`. To fail with a reason of its own it throws TaskError.
 * @param onRemoved deletes what the kind has stored for a task, after the task was removed: by DeleteTask, or after its
 *   retention. A server that has the kind runs it at least once, and again with backoff until it resolves, so it must be
 *   safe to repeat. One attempt may take 30 s. Workers do not run it
 */
export function defineKind<Params>({
  name,
  params: schema,
  exclusive,
  retry = {},
  resumable = false,
  run,
  onRemoved,
}: {
  name: string;
  params: StandardSchemaV1<unknown, Params>;
  exclusive?: (params: Params) => string | null;
  retry?: RetrySettings;
  resumable?: boolean;
  run: (task: TaskContext<Params>) => Promise<JsonObject | void>;
  onRemoved?: (task: RemovedTask) => Promise<void>;
}): Kind {
  if (!KIND_NAME.test(name)) {
    throw new InvalidArgument([{ field: "name", description: `must be 1 to ${KIND_CHARS_MAX} of [A-Za-z0-9._-]` }]);
  }
  return {
    name,
    parseParams: (params) => parseBySchema(schema, params, "params"),
    exclusiveKey: (params) => exclusive?.(params as Params) ?? null,
    isExclusive: exclusive !== undefined,
    retry: checkRetry(retry),
    resumable,
    run: (context) => run(context as TaskContext<Params>),
    onRemoved,
  };
}

/** Said where the kind is made, not when the first of its tasks fails. */
function checkRetry(retry: RetrySettings): RetrySettings {
  const violations = Object.entries(RETRY_BOUNDS).flatMap(([name, [min, max]]) => {
    const value = retry[name as keyof RetrySettings];
    const isWhole = name === "backoffMultiplier" || name === "jitter" || Number.isInteger(value);
    const isIn = value === undefined || (typeof value === "number" && value >= min && value <= max && isWhole);
    return isIn ? [] : [{ field: `retry.${name}`, description: `must be ${min} to ${max}, is ${value}` }];
  });
  if (violations.length > 0) throw new InvalidArgument(violations);
  return Object.fromEntries(Object.entries(retry).filter(([, value]) => value !== undefined));
}
