import { appendFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { injectFaults } from "./faults/injector.ts";
import type { HistoryLine } from "./history.ts";
import { mergeHistories } from "./merge-histories.ts";
import type { Options } from "./options.ts";
import { readHistory, Recorder } from "./recorder.ts";
import { attachTo } from "./target/attached-target.ts";
import { startOwnService } from "./target/own-service.ts";
import type { Guard } from "./target/guard.ts";
import type { Target } from "./target/target.ts";
import { readNotes } from "./workload/attempt-notes.ts";
import { randomOf } from "./workload/choices.ts";
import { Workload } from "./workload/workload.ts";

/** What a run leaves behind. */
export interface RunEnd {
  /** The history. */
  lines: readonly HistoryLine[];
  gaps: readonly string[];
  /** Faults that could not be injected or healed. */
  problems: readonly string[];
}

/** Attacks a service. @param folder of the run: for its notes, what its processes see, and logs */
export async function runChaos(
  { minutes, seed, against, faults }: Options,
  { folder, guard, notify }: { folder: string; guard: Guard; notify: (progress: string) => void },
): Promise<RunEnd> {
  const random = randomOf(seed, "links");
  const log = (source: string, text: string) => appendFileSync(join(folder, `${source}.log`), text);
  await using target: Target =
    against.length > 0 ? await attachTo(against, random) : await startOwnService(folder, { random, guard, log });
  notify("the service runs");
  const seen = join(folder, "seen");
  mkdirSync(seen);
  const ownHistory = join(seen, "harness.jsonl");
  using recorder = new Recorder(ownHistory);
  const startedAt = new Date();
  const isAttached = target.service === null;
  recorder.write({ type: "run", seed: `${seed}`, minutes, startedAt: startedAt.toISOString(), isAttached });

  const problems: string[] = [];
  const onProblem = (problem: string) => problems.push(problem);
  const over = new AbortController();
  const run = `${seed}-${startedAt.getTime().toString(36)}`;
  await using workload = new Workload({ target, recorder, seed, run, folder: seen, log });
  const { crowds } = workload;
  const injecting = injectFaults({
    target,
    crowds,
    guard,
    recorder,
    seed,
    names: faults,
    onProblem,
    over: over.signal,
  }).then(() => notify("all faults are healed"));
  try {
    // A caller that throws ends the run at once.
    const time = setTimeout(minutes * 60_000, undefined, { signal: over.signal }).catch(() => {});
    await Promise.race([time, injecting.then(() => time), workload.failed()]);
  } finally {
    over.abort();
    notify("no further faults");
    await injecting.catch(() => {}); // What is attacked must not go away while faults are healed.
  }
  await injecting;
  await workload.stop();
  notify("all callers have stopped");
  const ofCallers = await workload.settle(notify);
  const ofHarness = await readHistory(ownHistory);
  const notes = readNotes(join(folder, "notes"), recorder.originMs);
  return { lines: [...mergeHistories([ofHarness, ofCallers]), ...notes], gaps: target.gaps, problems };
}
