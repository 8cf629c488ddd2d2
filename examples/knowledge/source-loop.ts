import type { JsonObject, TaskContext } from "@spooltape/client";
import type { ErrorReport } from "./reported-errors.ts";

/** Where the loop stands is written down once for so many sources, and when it is told to stop. */
const SOURCES_PER_CHECKPOINT = 1_000;
/** Of the errors so far a checkpoint holds as many as leave it well below the size of an event. */
const CHECKPOINT_ERRORS_BYTES_MAX = 128 * 1024;

interface LoopParts<Source, Count extends string> {
  /** Names the phase on the tape. */
  phase: string;
  /** In an order that stays the same from attempt to attempt. */
  sources: readonly Source[];
  /** Below 0 where the first path comes before the second in that order. */
  comparePaths: (a: string, b: string) => number;
  /** What the report says; an earlier attempt's part is added to it. */
  counts: Record<Count, number>;
  errors: ErrorReport;
}

/**
 * Does the sources of a tree one after the other, with an event for each. An attempt that is stopped leaves a
 * checkpoint, and the next goes on behind it, with the counts and errors so far.
 *
 * @param work does one source and says what came of it: a name that is counted where there is a count of that name
 */
export async function forEachSource<Source extends { path: string }, Count extends string>(
  task: TaskContext<unknown>,
  { phase, sources, comparePaths, counts, errors }: LoopParts<Source, Count>,
  work: (source: Source) => Promise<string>,
): Promise<void> {
  const before = (await task.lastCheckpoint()) as Checkpoint<Count> | null;
  if (before !== null) {
    for (const name of Object.keys(counts) as Count[]) counts[name] += before.counts[name];
    errors.goOn(before);
  }
  let done = before?.done ?? null;
  const checkpoint = () =>
    task.partial("checkpoint", { done, counts: { ...counts }, ...errors.report(CHECKPOINT_ERRORS_BYTES_MAX) });
  const first = done === null ? 0 : sources.filter(({ path }) => comparePaths(path, before!.done!) <= 0).length;
  try {
    for (const [index, source] of sources.entries()) {
      if (index < first) continue;
      task.signal.throwIfAborted();
      const outcome = await work(source);
      if (Object.hasOwn(counts, outcome)) counts[outcome as Count] += 1;
      done = source.path;
      await task.progress(phase, index + 1, sources.length, { path: source.path, outcome });
      if ((index + 1) % SOURCES_PER_CHECKPOINT === 0) await checkpoint();
    }
    task.signal.throwIfAborted();
  } catch (error) {
    // Refused where the task is not this attempt's any more: why it stopped is what counts.
    if (task.signal.aborted) await checkpoint().catch(() => {});
    throw error;
  }
}

interface Checkpoint<Count extends string> extends JsonObject {
  /** The path of the last source done; null: none. */
  done: string | null;
  counts: Record<Count, number>;
  errors: JsonObject[];
  errors_total: number;
}
