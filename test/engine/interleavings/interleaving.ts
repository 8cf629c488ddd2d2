import { Choices } from "../../support/choices.ts";
import { useScheduler } from "./controlled-clock.ts";
import { planOf } from "./plan.ts";
import type { Plan } from "./plan.ts";
import { read } from "./readers.ts";
import { Stuck } from "./scheduler.ts";
import { tapeViolations } from "./violations.ts";
import { endTask, runTask, startTask } from "./writers.ts";
import { World } from "./world.ts";

const STEPS_MAX = 3_000;

/** The result of a run. */
export interface Run {
  violations: readonly string[];
  /** How many random choices were made, and how many steps were taken. */
  choices: number;
  steps: number;
  plan: Plan;
  trace: readonly string[];
}

/**
 * Runs one interleaving. The same seed gives the same run.
 *
 * @param most how many choices are random. After that, nothing fails, and everything happens in its order
 */
export async function runInterleaving(seed: number, { most = 1e9, isTraced = false } = {}): Promise<Run> {
  const plan = planOf(seed);
  const choices = new Choices(seed ^ 0x5bd1e995, most);
  const world = new World(plan, choices, isTraced);
  const { scheduler } = world;
  useScheduler(scheduler);
  const onUnhandled = (error: unknown) => world.violate(`unhandled rejection: ${String(error)}`);
  process.on("unhandledRejection", onUnhandled);
  try {
    await scheduler.run(play(world), STEPS_MAX);
    for (const row of world.tables.rows.values()) for (const what of tapeViolations(row)) world.violate(what);
    requireCounts(world);
  } catch (error) {
    world.violate(error instanceof Stuck ? `the run does not end: ${error.message}` : String((error as Error).stack));
  } finally {
    world.isOver = true;
    useScheduler(null);
    process.off("unhandledRejection", onUnhandled);
  }
  const { steps, trace } = scheduler;
  return { violations: world.violations, choices: most - choices.left, steps, plan, trace };
}

async function play(world: World): Promise<void> {
  const { plan, servers, scheduler, tables } = world;
  if (plan.hasPolls) for (const server of servers) void world.poll(server);
  const reading: Promise<void>[] = [];
  const played = plan.tasks.map(async (planned, index) => {
    const taskId = await startTask(world, planned, index);
    if (taskId === null) return;
    for (const reader of plan.readers) if (reader.task === index) reading.push(read(world, reader, taskId));
    if (taskId === `task-${index}`) await runTask(world, planned, taskId);
  });
  const halt = plan.haltAfter === null ? Promise.resolve() : haltAfter(world, plan.haltAfter);
  await Promise.all([...played, halt]);
  for (const { journal } of servers) await journal.stop();
  // A start that was answered UNAVAILABLE may have created its task, or may create it late. A sweeper ends the task.
  while (world.late > 0) await scheduler.pause("before the sweep");
  for (const taskId of tables.rows.keys()) await endTask(world, taskId);
  await Promise.all(reading);
}

async function haltAfter(world: World, steps: number): Promise<void> {
  for (let count = 0; count < steps; count++) await world.scheduler.pause("before the halt");
  world.servers[0].halted.abort(new Error("the server stops"));
}

/** Requires that the journal reports each event once, if it gets the answer to everything that it writes. */
function requireCounts(world: World): void {
  const { plan, servers, tables, failedStarts } = world;
  const isShared = plan.tasks.some(
    ({ disturbance, isRemoved }) => isRemoved || disturbance === "requeue" || disturbance === "resume",
  );
  if (isShared || plan.haltAfter !== null || failedStarts > 0) return;
  const stored = [...tables.rows.values()].flatMap(({ events }) => events);
  const written = stored.filter(({ type, body }) => type !== "cancel_requested" && !body.includes("CANCELLED")).length;
  const reported = servers[0].events();
  if (reported !== written) world.violate(`the journal wrote ${written} events and reported ${reported}`);
}

/** Returns the least number of random choices with which a seed still fails. */
export async function shrink(seed: number, { choices }: Run): Promise<number> {
  let [passes, fails] = [-1, choices];
  while (fails - passes > 1) {
    const most = (passes + fails) >> 1;
    if ((await runInterleaving(seed, { most })).violations.length > 0) fails = most;
    else passes = most;
  }
  return fails;
}
