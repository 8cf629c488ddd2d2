import type { SpoolClient } from "../../client/client.ts";
import { TASK_ID_PREFIX_CHARS_MIN } from "../../domain/limits.ts";
import { contextFilePath, readContextFile } from "../contexts/context-file.ts";

/** The values that a script asks for, because they change. */
export const VALUE_LISTS = ["tasks", "kinds", "contexts"] as const;
export type ValueList = (typeof VALUE_LISTS)[number];

/** A value, and what a shell shows beside it. */
export interface ListedValue {
  readonly value: string;
  readonly description: string;
}

/** How many tasks are listed: the newest. */
const TASKS_MAX = 50;

export function isValueList(text: string): text is ValueList {
  return (VALUE_LISTS as readonly string[]).includes(text);
}

/** Returns the user's contexts. */
export function listContextNames(): ListedValue[] {
  const { contexts } = readContextFile(contextFilePath());
  return Object.entries(contexts).map(([value, { address }]) => ({ value, description: address }));
}

/** Returns the kinds that the servers and workers run now. */
export async function listKinds(client: SpoolClient): Promise<ListedValue[]> {
  const { sessions } = await client.sessions();
  const kinds = new Set(sessions.flatMap((session) => session.kinds));
  return [...kinds].toSorted().map((value) => ({ value, description: "kind" }));
}

/** Returns the newest tasks. @param prefix of the task ids; one that is too short for the server is ignored */
export async function listTaskIds(client: SpoolClient, prefix: string): Promise<ListedValue[]> {
  const isPrefix = prefix.length >= TASK_ID_PREFIX_CHARS_MIN && /^[0-9a-f-]+$/i.test(prefix);
  const { tasks } = await client.listPage({ pageSize: TASKS_MAX, ...(isPrefix && { taskIdPrefix: prefix }) });
  return tasks.map(({ taskId, kind, status }) => ({ value: taskId, description: `${kind} ${status}` }));
}
