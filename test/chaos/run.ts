import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { injectFaults } from "./faults/injector.ts";
import type { Options } from "./options.ts";
import { Recorder } from "./recorder.ts";
import { attachTo } from "./target/attached-target.ts";
import { startOwnService } from "./target/own-service.ts";
import type { Guard } from "./target/guard.ts";
import type { Target } from "./target/target.ts";
import { readNotes } from "./workload/attempt-notes.ts";
import { randomOf } from "./workload/choices.ts";
import { Workload } from "./workload/workload.ts";

/** What a run leaves behind besides its history. */
export interface RunEnd {
  gaps: readonly string[];
  /** Faults that could not be injected or healed. */
  problems: readonly string[];
}

/**
 * Attacks a service, and writes the history.
 *
 * @param folder of the run: for its notes and logs
 * @param history file to write
 */
export async function runChaos(
  { minutes, seed, against, faults }: Options,
  {
    folder,
    history,
    guard,
    notify,
  }: { folder: string; history: string; guard: Guard; notify: (progress: string) => void },
): Promise<RunEnd> {
  const random = randomOf(seed, "links");
  const log = (source: string, text: string) => appendFileSync(join(folder, `${source}.log`), text);
  await using target: Target =
    against.length > 0 ? await attachTo(against, random) : await startOwnService(folder, { random, guard, log });
  notify("the service runs");
  await using recorder = new Recorder(history);
  const startedAt = new Date();
  const isAttached = target.service === null;
  recorder.write({ type: "run", seed: `${seed}`, minutes, startedAt: startedAt.toISOString(), isAttached });

  const problems: string[] = [];
  const onProblem = (problem: string) => problems.push(problem);
  const over = new AbortController();
  using workload = new Workload(
    { target, recorder, seed, run: `${seed}-${startedAt.getTime().toString(36)}` },
    over.signal,
  );
  const injecting = injectFaults({ target, recorder, seed, names: faults, onProblem, over: over.signal });
  const running = [
    injecting.then(() => notify("all faults are healed")),
    workload.stopped().then(() => notify("all callers have stopped")),
  ];
  try {
    // A caller that throws ends the run at once.
    const time = setTimeout(minutes * 60_000, undefined, { signal: over.signal }).catch(() => {});
    await Promise.race([time, Promise.all(running)]);
  } finally {
    over.abort();
    notify("no further faults");
    await Promise.allSettled(running); // What is attacked must not go away while faults are healed.
  }
  await Promise.all(running);
  notify(`${recorder.tasks.size} tasks settle`);
  await workload.settle();
  for (const note of readNotes(join(folder, "notes"), recorder.originMs)) recorder.add(note);
  return { gaps: target.gaps, problems };
}
