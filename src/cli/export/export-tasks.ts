import { archiveLine } from "../../archive/archive-lines.ts";
import type { ArchiveFooter, ArchiveHeader } from "../../archive/archive-lines.ts";
import type { ArchiveWriter } from "../../archive/archive-writer.ts";
import { toEventJson } from "../../archive/event-json.ts";
import { TaskDigest } from "../../archive/task-digest.ts";
import { toTaskJson } from "../../archive/task-json.ts";
import type { SpoolClient } from "../../client/client.ts";
import { ignoreRejection } from "../../domain/ignore-rejection.ts";
import { LIST_TASKS_MAX } from "../../domain/limits.ts";
import { isTerminal } from "../../domain/task.ts";
import { fetchTask, isRemoved, tapeOf } from "./fetched-task.ts";
import type { FetchedTask } from "./fetched-task.ts";

/** How many tasks are read ahead, with at most 100 events each. */
const AHEAD_MAX = 32;

/** What an export has done so far. */
export interface ExportCounts extends ArchiveFooter {
  /** Matching tasks that had not ended by `until`, and were left out. */
  unfinished: number;
  /** Matching tasks that were removed while the export ran. */
  removed: number;
}

export interface ExportOptions {
  header: ArchiveHeader;
  writer: ArchiveWriter;
  /** The last task that the file has, if the export is resumed. Tasks are in the order of their ids, newest first. */
  lastTaskId: string | null;
  /** Counts that the export goes on with. */
  counts: ExportCounts;
  onProgress: (counts: Readonly<ExportCounts>) => void;
}

/** Writes the ended tasks that the header names, newest first, and the footer. Reads some tasks ahead. */
export async function exportTasks(client: SpoolClient, options: ExportOptions): Promise<void> {
  const { header, writer, lastTaskId, counts, onProgress } = options;
  const { kinds, labels } = header.asked;
  const ahead: Promise<FetchedTask | null>[] = [];
  const writeNext = async () => {
    const task = await ahead.shift()!;
    if (task === null || !(await writeTask(client, task, options))) counts.removed++;
    onProgress(counts);
  };
  for await (const listed of client.list({ kinds, labels, pageSize: LIST_TASKS_MAX })) {
    const { taskId, status, finishedAt } = listed;
    if (!isTerminal(status) || finishedAt === null || finishedAt >= header.until) {
      counts.unfinished++;
      continue;
    }
    const isAsked = header.since === null || finishedAt >= header.since;
    if (!isAsked || (lastTaskId !== null && taskId >= lastTaskId)) continue;
    ahead.push(ignoreRejection(fetchTask(client, listed)));
    if (ahead.length === AHEAD_MAX) await writeNext();
  }
  while (ahead.length > 0) await writeNext();
  const { tasks, events } = counts;
  await writer.add(archiveLine("footer", { tasks, events } satisfies ArchiveFooter));
  await writer.flush();
}

/** @returns false if the task was removed while its tape was read */
async function writeTask(
  client: SpoolClient,
  fetched: FetchedTask,
  { writer, counts, onProgress }: ExportOptions,
): Promise<boolean> {
  const { taskId } = fetched.task;
  const task = toTaskJson(fetched.task);
  const digest = new TaskDigest(task);
  let events = 0;
  let isBegun = false;
  try {
    for await (const page of tapeOf(client, fetched)) {
      const messages = page.map(toEventJson);
      digest.add(messages);
      let lines = isBegun ? "" : archiveLine("task", task);
      for (const message of messages) lines += archiveLine("event", message);
      isBegun = true;
      await writer.add(lines);
      events += messages.length;
      onProgress({ ...counts, events: counts.events + events });
    }
  } catch (error) {
    if (!isRemoved(error)) throw error;
    if (isBegun) await writer.add(archiveLine("discard", { taskId }));
    return false;
  }
  await writer.add(archiveLine("end", { taskId, events, sha256: digest.end() }));
  counts.tasks++;
  counts.events += events;
  return true;
}
