import { Choices } from "../../support/choices.ts";
import { NO_FAULTS } from "./faulty-store.ts";
import type { FaultRates } from "./faulty-store.ts";

const FAR_MS = 600_000;
const LONG_PAGE = 1_000;
/** The probability that a run has the reader, fault or disturbance at all. Most bugs need few of them at once. */
const SOME = 0.4;

export interface EmitStep {
  /** How many events the code emits at once. */
  events: number;
  /** What the code waits for after that. */
  waits: "nothing" | "room" | "durable" | "step";
}

/** What happens to a running attempt from outside. */
export type Disturbance = "ask" | "cancel" | "requeue" | "resume";

export interface PlannedTask {
  requestId: string | null;
  /** Starts with one request_id and different labels are refused. */
  label: string;
  /** Whether the start runs the task at once. Otherwise, the task waits until it is cancelled. */
  isRunning: boolean;
  steps: readonly EmitStep[];
  /** Whether the code returns. Otherwise, its process is thought dead. */
  isEnding: boolean;
  isPoisoned: boolean;
  disturbance: Disturbance | null;
  /** How many steps after the start the disturbance comes. */
  disturbedAfter: number;
  isRemoved: boolean;
  /** Whether the code emits more events than a page or a writer holds. */
  isLong: boolean;
}

export interface PlannedReader {
  task: number;
  server: 0 | 1;
  type: "stream" | "long poll" | "result";
  fromSeq: number;
  /** How many steps after the start the reader comes. */
  after: number;
  isSlow: boolean;
  /** After how many pages the reader leaves; null: it stays. */
  leavesAfter: number | null;
}

/** What happens in a run. The order in which it happens is not part of the plan. */
export interface Plan {
  rates: FaultRates;
  /** After how many steps of the run no more faults occur. */
  calmAfter: number;
  /** After how many steps the first server gives up what it cannot write; null: never. */
  haltAfter: number | null;
  timeRate: number;
  eventsAPage: number;
  heartbeatMs: number;
  waitMs: number;
  /** Whether servers poll followed tapes. Otherwise, only one server is used. */
  hasPolls: boolean;
  hasWakeups: boolean;
  tasks: readonly PlannedTask[];
  readers: readonly PlannedReader[];
}

export function planOf(seed: number): Plan {
  const choices = new Choices(seed);
  const rates = { ...NO_FAULTS };
  for (const fault of Object.keys(rates) as (keyof FaultRates)[]) {
    if (choices.chance(SOME)) rates[fault] = choices.of([0.05, 0.2, 0.5]);
  }
  const hasPolls = choices.chance(0.5);
  const tasks = Array.from({ length: choices.of([1, 1, 1, 2, 3]) }, () => planTask(choices, hasPolls));
  return {
    rates,
    calmAfter: choices.of([50, 200]),
    haltAfter: hasPolls && choices.chance(0.15) ? choices.between(5, 80) : null,
    timeRate: choices.of([0, 0.02, 0.2]),
    eventsAPage: tasks.some(({ isLong }) => isLong) ? LONG_PAGE : choices.of([1, 2, 3, LONG_PAGE]),
    heartbeatMs: choices.of([FAR_MS, FAR_MS, FAR_MS, 100]),
    waitMs: choices.of([FAR_MS, FAR_MS, 30]),
    hasPolls,
    hasWakeups: hasPolls && choices.chance(0.7),
    tasks,
    readers: Array.from({ length: choices.of([1, 2, 2, 3, 4]) }, () => planReader(choices, tasks.length, hasPolls)),
  };
}

function planTask(choices: Choices, hasPolls: boolean): PlannedTask {
  const isLong = choices.chance(0.01);
  const hasDisturbance = choices.chance(SOME);
  return {
    requestId: choices.chance(SOME) ? choices.of(["r1", "r2"]) : null,
    label: choices.of(["a", "a", "a", "b"]),
    isRunning: choices.chance(0.9),
    steps: Array.from({ length: choices.below(7) }, () => ({
      events: isLong ? choices.of([1, 700]) : choices.of([1, 1, 1, 2, 4]),
      waits: choices.of(["nothing", "room", "durable", "step", "step"]),
    })),
    isEnding: choices.chance(0.9),
    isPoisoned: choices.chance(0.05),
    disturbance: hasDisturbance
      ? choices.of(hasPolls ? ["ask", "cancel", "requeue", "resume"] : ["ask", "cancel"])
      : null,
    disturbedAfter: choices.below(30),
    isRemoved: choices.chance(0.2),
    isLong,
  };
}

function planReader(choices: Choices, tasks: number, hasPolls: boolean): PlannedReader {
  return {
    task: choices.below(tasks),
    server: hasPolls ? choices.of([0, 0, 1]) : 0,
    type: choices.of(["stream", "stream", "stream", "long poll", "result"]),
    fromSeq: choices.of([1, 1, 1, 2, 4]),
    after: choices.of([0, 0, 1, 5, 20]),
    isSlow: choices.chance(SOME),
    leavesAfter: choices.chance(0.15) ? choices.between(1, 3) : null,
  };
}
