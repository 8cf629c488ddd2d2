import type { SpoolClient } from "../../client/client.ts";
import { TASK_ID_PREFIX_CHARS_MIN } from "../../domain/limits.ts";
import { UsageError } from "./usage-error.ts";

/**
 * Length of a displayed task id. No two tasks share so long a prefix: the first 13 characters are the millisecond of the
 * start, and the characters up to here are a counter that begins at a random number.
 */
export const SHORT_ID_CHARS = 26;

/** How many matches an error lists. */
const MATCHES_MAX = 5;

const UUID_CHARS = 36;
const UUID_PREFIX = /^[0-9a-f-]+$/i;

/**
 * Resolves a task id, or a prefix of at least 8 characters, to the whole id.
 *
 * @returns a text that cannot be a prefix of an id unchanged: the server rejects it
 * @throws UsageError if no task matches, or several do; the error lists the matches
 */
export async function resolveTaskId(client: SpoolClient, text: string, signal?: AbortSignal): Promise<string> {
  if (text.length >= UUID_CHARS || !UUID_PREFIX.test(text)) return text;
  if (text.length < TASK_ID_PREFIX_CHARS_MIN) {
    throw new UsageError(`task id ${text}: too short; give at least the first ${TASK_ID_PREFIX_CHARS_MIN} characters`);
  }
  const { tasks } = await client.listPage({ taskIdPrefix: text, pageSize: MATCHES_MAX + 1 }, { signal });
  const [first] = tasks;
  if (first === undefined) throw new UsageError(`task id ${text}: no task has this id prefix`);
  if (tasks.length === 1) return first.taskId;
  const more = tasks.length > MATCHES_MAX ? [`… and more`] : [];
  const matches = tasks.slice(0, MATCHES_MAX).map(({ taskId, kind, status }) => `${taskId}  ${kind}  ${status}`);
  throw new UsageError(`task id ${text}: several tasks have this id prefix; give more characters`, {
    problems: [...matches, ...more],
  });
}
