import type { SpoolClient } from "../../client/client.ts";
import { TASK_ID_PREFIX_CHARS_MIN } from "../../domain/limits.ts";
import { UsageError } from "./usage-error.ts";

/**
 * Of an id as much as no two tasks have in common. The first 13 characters are the millisecond of the start, and what
 * follows up to here a counter that begins at random: what comes after says nothing more.
 */
export const SHORT_ID_CHARS = 26;

/** So many matches are listed. */
const MATCHES_MAX = 5;

const UUID_CHARS = 36;
const PART_OF_UUID = /^[0-9a-f-]+$/i;

/**
 * The whole id of a task that is named by its id, or by the beginning of it: 8 characters or more.
 *
 * @returns what is no beginning of an id as it is: the server refuses it in its words
 * @throws UsageError where no task has such an id, or several do: it lists them
 */
export async function resolveTaskId(client: SpoolClient, text: string, signal?: AbortSignal): Promise<string> {
  if (text.length >= UUID_CHARS || !PART_OF_UUID.test(text)) return text;
  if (text.length < TASK_ID_PREFIX_CHARS_MIN) {
    throw new UsageError(`task id ${text}: write its first ${TASK_ID_PREFIX_CHARS_MIN} characters or more`);
  }
  const { tasks } = await client.listPage({ taskIdPrefix: text, pageSize: MATCHES_MAX + 1 }, { signal });
  const [first] = tasks;
  if (first === undefined) throw new UsageError(`task id ${text}: no task has an id that begins so`);
  if (tasks.length === 1) return first.taskId;
  const more = tasks.length > MATCHES_MAX ? [`… and more`] : [];
  const matches = tasks.slice(0, MATCHES_MAX).map(({ taskId, kind, status }) => `${taskId}  ${kind}  ${status}`);
  throw new UsageError(`task id ${text}: several tasks have an id that begins so`, { problems: [...matches, ...more] });
}
