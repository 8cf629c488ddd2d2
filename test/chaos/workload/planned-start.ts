import type { StartRequest } from "../../../src/client/client.ts";
import type { Json } from "../history.ts";
import type { SeededRandom } from "../../fault/support/random.ts";
import { between, chance, choose } from "./choices.ts";

const EXCLUSIVE_KEYS = 4;
/** Of the kind `server.brief`, by the settings of the servers. */
export const BRIEF_RETENTION_MS = 8_000;
export const BRIEF = "server.brief";
/** More attempts than faults can cost a task. */
const ATTEMPTS_MANY = 40;
const ATTEMPTS_TIMED_OUT = 3;

/** The label of all tasks of a run. */
export const RUN_LABEL = "chaos-run";

/** A start, with what the history says of it. */
export interface PlannedStart {
  request: StartRequest & { requestId: string; params: { [key: string]: Json } };
  exclusiveKey: string | null;
  /** How long the task is kept after its end; undefined: longer than the run. */
  retentionMs?: number;
  /** Delays of the times of the request, from now. */
  runInMs?: number;
  deadlineInMs?: number;
}

/** Which kinds a namespace has besides those of the servers. */
export interface KindsOfNamespace {
  hasWorker: boolean;
  hasPython: boolean;
  /** Only `echo`, of any service. */
  isEchoOnly: boolean;
}

/** Returns the next start of a namespace. All tasks of a run have its label. */
export function planStart(random: SeededRandom, kinds: KindsOfNamespace, run: string): PlannedStart {
  const plan = kinds.isEchoOnly ? echo(random) : shape(random, kinds);
  const { request } = plan;
  const team = choose(random, ["red", "green", "blue"]);
  const planned: PlannedStart = {
    ...plan,
    exclusiveKey: plan.exclusiveKey ?? null,
    request: { ...request, requestId: `${run}-${idOf(random)}`, labels: { [RUN_LABEL]: run, team } },
  };
  if (chance(random, 0.06)) planned.runInMs = between(random, 500, 8_000);
  if (chance(random, 0.04)) planned.deadlineInMs = (planned.runInMs ?? 0) + between(random, 200, 5_000);
  if (chance(random, 0.03)) {
    planned.request.timeoutMs = Math.round(between(random, 300, 3_000));
    planned.request.maxAttempts = ATTEMPTS_TIMED_OUT; // Each attempt may take its timeout and its grace.
  }
  if (chance(random, 0.05))
    planned.retentionMs = planned.request.retentionMs = Math.round(between(random, 1_000, 10_000));
  else if (request.kind === BRIEF) planned.retentionMs = BRIEF_RETENTION_MS;
  return planned;
}

type Shape = { request: Omit<PlannedStart["request"], "requestId">; exclusiveKey?: string };

function echo(random: SeededRandom): Shape {
  const params = { count: Math.floor(between(random, 0, 20)), delay_ms: Math.floor(between(random, 0, 100)) };
  return { request: { kind: "echo", params } };
}

function shape(random: SeededRandom, { hasWorker, hasPython }: KindsOfNamespace): Shape {
  if (hasPython && chance(random, 0.35)) return pythonShape(random);
  const prefix = hasWorker && chance(random, 0.5) ? "worker" : "server";
  const walk = (steps: number, everyMs: number) => ({ steps: Math.round(steps), every_ms: Math.round(everyMs) });
  switch (Math.floor(between(random, 0, 15))) {
    case 0: // Some seconds. Without attempts to spare, the task may end with its process.
      return { request: { kind: `${prefix}.steps`, params: walk(between(random, 20, 60), 100) } };
    case 1:
      return { request: { kind: `${prefix}.steps`, params: walk(between(random, 20, 80), 80), ...many() } };
    case 2: // As fast as there is room.
      return { request: { kind: `${prefix}.steps`, params: walk(between(random, 100, 400), 0), ...many() } };
    case 3:
    case 4: {
      const params = { ...walk(3, 20), failing_attempts: Math.floor(between(random, 0, 4)), for_good: false };
      return { request: { kind: `${prefix}.flaky`, params, maxAttempts: 3 } };
    }
    case 5: {
      const params = { ...walk(3, 20), failing_attempts: 9, for_good: true };
      return { request: { kind: `${prefix}.flaky`, params, ...many() } };
    }
    case 6:
    case 7: {
      const key = `key-${Math.floor(between(random, 0, EXCLUSIVE_KEYS))}`;
      const params = { ...walk(between(random, 2, 10), 30), key };
      return { request: { kind: `${prefix}.exclusive`, params, ...many() }, exclusiveKey: key };
    }
    case 8:
      return { request: { kind: `${prefix}.resumable`, params: walk(between(random, 20, 60), 80), ...many() } };
    case 9:
      return { request: { kind: `${prefix}.stubborn`, params: walk(between(random, 20, 100), 60), ...many() } };
    case 10:
    case 11: {
      const params = { pieces: Math.round(between(random, 20, 120)), every_ms: choose(random, [0, 10, 50]) };
      return { request: { kind: `${prefix}.text`, params, ...many() } };
    }
    case 12:
      return { request: { kind: BRIEF, params: walk(between(random, 1, 5), 10), ...many() } };
    default:
      return echo(random);
  }
}

function pythonShape(random: SeededRandom): Shape {
  const params = { steps: Math.round(between(random, 5, 50)), every_ms: choose(random, [0, 20, 60]) };
  return { request: { kind: choose(random, ["python.steps", "python.resumable"]), params, ...many() } };
}

function many() {
  return { maxAttempts: ATTEMPTS_MANY };
}

/** Returns an id that follows from the seed. */
function idOf(random: SeededRandom): string {
  const word = () =>
    Math.floor(random.next() * 2 ** 32)
      .toString(16)
      .padStart(8, "0");
  return `${word()}${word()}${word()}`;
}
