import { setTimeout } from "node:timers/promises";
import type { Recorder } from "../recorder.ts";
import type { Guard } from "../target/guard.ts";
import type { Target } from "../target/target.ts";
import { between, randomOf } from "../workload/choices.ts";
import type { CrowdProcesses } from "../workload/crowd-processes.ts";
import { ALL_FAULTS } from "./all-faults.ts";
import { LANES } from "./fault.ts";
import type { Fault, Lane } from "./fault.ts";

/** How long a lane pauses between two faults, in ms. */
const PAUSES_MS: Readonly<Record<Lane, readonly [number, number]>> = {
  servers: [2_000, 6_000],
  workers: [2_000, 6_000],
  callers: [4_000, 10_000],
  databases: [2_500, 6_000],
  links: [500, 2_500],
  commits: [500, 3_000],
  namespaces: [3_000, 10_000],
};

/** The end of each period is calm: without faults, so that times without faults can be checked. */
const PERIOD_MS = 60_000;
const CALM_MS = 15_000;

export interface InjectorParts {
  target: Target;
  crowds: readonly CrowdProcesses[];
  guard: Guard;
  recorder: Recorder;
  seed: number;
  /** Only these faults. Empty: all. */
  names: readonly string[];
  /** Receives what went wrong with a fault itself. */
  onProblem: (problem: string) => void;
  /** Fires at the end of the run. */
  over: AbortSignal;
}

/** Injects the faults that the target can have, one after the other in each lane. Resolves when all are healed. */
export async function injectFaults(parts: InjectorParts): Promise<void> {
  const { target, names } = parts;
  const wanted = ALL_FAULTS.filter(({ name }) => names.length === 0 || names.includes(name));
  const possible = wanted.filter((fault) => fault.isPossible(target));
  await Promise.all(
    LANES.map((lane) => runLane(lane, possible.filter((fault) => fault.lane === lane), parts)), // prettier-ignore
  );
}

async function runLane(
  lane: Lane,
  faults: readonly Fault[],
  { target, crowds, guard, recorder, seed, onProblem, over }: InjectorParts,
): Promise<void> {
  if (faults.length === 0) return;
  const random = randomOf(seed, `faults of ${lane}`);
  const [pauseMin, pauseMax] = PAUSES_MS[lane];
  const wait = (ms: number) => setTimeout(ms, undefined, { signal: over }).catch(() => {});
  const hold = (min: number, max: number) => wait(Math.min(between(random, min, max), untilCalm(recorder.now())));
  /** Each fault once, in a random order, before any of them comes again. */
  let bag: Fault[] = [];
  for (;;) {
    // On a busy machine, servers take long to connect again: without a pause in between, no task would run at all.
    if (lane === "databases") await target.service?.untilServed();
    await wait(between(random, pauseMin, pauseMax));
    if (untilCalm(recorder.now()) === 0) await wait(PERIOD_MS - (recorder.now() % PERIOD_MS));
    if (over.aborted) return;
    if (bag.length === 0) bag = random.shuffle(faults);
    const { name, inject } = bag.pop()!;
    const at = recorder.now();
    try {
      const details = await inject({ target, crowds, guard, random, hold, over });
      if (details !== null) recorder.add({ type: "fault", name, at, until: recorder.now(), details });
    } catch (error) {
      onProblem(`${name}: ${String(error)}`);
    }
  }
}

/** Returns how long it is until the next calm, in ms. 0: it is calm. */
function untilCalm(now: number): number {
  return Math.max(0, PERIOD_MS - CALM_MS - (now % PERIOD_MS));
}
