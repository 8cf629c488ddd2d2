import { archiveLine, headerLine } from "../../archive/archive-lines.ts";
import type { ArchiveFooter } from "../../archive/archive-lines.ts";
import { ArchiveWriter } from "../../archive/archive-writer.ts";
import { fromTapeEvent, toEventJson } from "../../archive/event-json.ts";
import { TaskDigest } from "../../archive/task-digest.ts";
import { toTaskJson } from "../../archive/task-json.ts";
import { TaskExpired, TaskNotFound } from "../../domain/errors.ts";
import type { TapeEvent } from "../../domain/event.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { Task } from "../../domain/task.ts";
import type { ArchivedIds, ArchivedTask, RemovalArchive } from "../../engine/api/removal-archive.ts";
import { ConfigurationError } from "../config/configuration.ts";
import type { Configuration } from "../config/configuration.ts";
import { ArchiveFolder } from "./archive-folder.ts";

/** How long due tasks wait for others: at most so many files a day for each namespace, if there is no backlog. */
const WAIT_MS = 10 * 60_000;
/** A file ends after the task that brings its lines to so many characters. Compressed, they take a fifth or less. */
const FILE_CHARS_MAX = 256 * 1024 * 1024;

/**
 * Returns the configured archive of each namespace; null: there is none.
 *
 * @throws ConfigurationError if the folder cannot be written to
 */
export async function openRemovalArchives({
  retentionExport,
}: Pick<Configuration, "retentionExport">): Promise<((namespace: string) => RemovalArchive) | null> {
  if (retentionExport === null) return null;
  const folder = new ArchiveFolder(retentionExport);
  await folder.check().catch((error: unknown) => {
    const reason = (error as Error).message;
    throw new ConfigurationError([`SPOOL_RETENTION_EXPORT: must be a folder that can be written to (${reason})`]);
  });
  return (namespace) => removalArchive(folder, { namespace, waitMs: WAIT_MS });
}

/** Returns an archive that writes each batch of tasks to a new file, in the format of `spool export`. */
export function removalArchive(
  folder: ArchiveFolder,
  { namespace, waitMs, charsMax = FILE_CHARS_MAX }: { namespace: string; waitMs: number; charsMax?: number },
): RemovalArchive {
  return {
    waitMs,
    async write(tasks) {
      const file = await folder.create(`spool-${namespace}`);
      try {
        const writer = new ArchiveWriter((bytes) => file.write(bytes), { isCompressed: true });
        const ids = await writeTasks(writer, tasks, charsMax);
        if (ids.written.length === 0) await file.discard();
        else await file.finish();
        return ids;
      } catch (error) {
        await file.discard();
        throw error;
      }
    },
  };
}

/** Writes a whole file. */
async function writeTasks(
  writer: ArchiveWriter,
  tasks: AsyncIterable<ArchivedTask>,
  charsMax: number,
): Promise<ArchivedIds> {
  const startedAt = new Date();
  const asked = { since: null, until: null, kinds: [], labels: {} };
  await writer.add(headerLine({ asked, startedAt, since: null, until: startedAt }));
  const ids: ArchivedIds = { written: [], refused: [] };
  const counts: ArchiveFooter = { tasks: 0, events: 0 };
  let chars = 0;
  const add = (lines: string) => {
    chars += lines.length;
    return writer.add(lines);
  };
  for await (const archived of tasks) {
    const { taskId } = archived.task;
    const outcome = await writeTask(add, archived);
    if (typeof outcome === "number") {
      ids.written.push(taskId);
      counts.tasks++;
      counts.events += outcome;
    } else if (outcome !== null) ids.refused.push({ taskId, reason: outcome.message });
    if (chars >= charsMax) break;
  }
  await writer.add(archiveLine("footer", counts));
  await writer.flush();
  return ids;
}

/** @returns the number of events; null: the task was removed; an Unwritable */
async function writeTask(
  add: (lines: string) => Promise<void>,
  { task, pages }: ArchivedTask,
): Promise<number | Unwritable | null> {
  const { taskId } = task;
  let isBegun = false;
  try {
    const json = convert(() => toTaskJson({ ...task, awaitsWorker: false }));
    const digest = new TaskDigest(json);
    await add(archiveLine("task", json));
    isBegun = true;
    let events = 0;
    let last: TapeEvent | undefined;
    for await (const page of pages) {
      const messages = convert((): JsonObject[] => page.map((event) => toEventJson(fromTapeEvent(event))));
      digest.add(messages);
      await add(messages.map((message) => archiveLine("event", message)).join(""));
      events += page.length;
      last = page.at(-1);
    }
    requireWhole(task, events, last);
    await add(archiveLine("end", { taskId, events, sha256: digest.end() }));
    return events;
  } catch (error) {
    const isRemoved = error instanceof TaskExpired || error instanceof TaskNotFound;
    if (!isRemoved && !(error instanceof Unwritable)) throw error;
    if (isBegun) await add(archiveLine("discard", { taskId }));
    return isRemoved ? null : error;
  }
}

/** A task that an import would refuse. */
class Unwritable extends Error {}

function convert<Result>(work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    throw new Unwritable((error as Error).message, { cause: error });
  }
}

/** @throws Unwritable */
function requireWhole({ lastSeq }: Task, events: number, last: TapeEvent | undefined): void {
  if (last?.type === "final" && last.seq === lastSeq && BigInt(events) === lastSeq) return;
  throw new Unwritable(
    `the tape has ${events} of ${lastSeq} events and ends with ${last?.type ?? "nothing"} ${last?.seq ?? ""}`.trimEnd(),
  );
}
