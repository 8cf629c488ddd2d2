import { LeaseLost, RequestIdReused, StoreUnavailable } from "../../../src/domain/errors.ts";
import { newEvent } from "../../../src/domain/event.ts";
import type { NewEvent } from "../../../src/domain/event.ts";
import { isTerminal } from "../../../src/domain/task.ts";
import type { Fence } from "../../../src/domain/task.ts";
import type { TapeWriter } from "../../../src/engine/write/tape-writer.ts";
import { newTask, startedOf, SUCCEEDED } from "../../support/new-tasks.ts";
import { POISON } from "./faulty-store.ts";
import type { PlannedTask } from "./plan.ts";
import type { Row } from "./tables.ts";
import { countOf, emitted } from "./violations.ts";
import type { Server, World } from "./world.ts";

const RETRY_MS = 50;
const ASKED = newEvent("cancel_requested", { reason: "" });
const CANCELLED = newEvent("final", {
  status: "cancelled",
  error: { reason: "CANCELLED", message: "the task was cancelled" },
});

/** Starts a planned task, and runs it if this start created it. @returns its id; null: the start failed */
export async function startTask(world: World, planned: PlannedTask, index: number): Promise<string | null> {
  const [server] = world.servers;
  const taskId = `task-${index}`;
  const { requestId, label, isRunning } = planned;
  const lease = isRunning ? "one" : null;
  const task = newTask({ namespace: "n", taskId, requestId, labels: { label }, lease });
  try {
    const outcome = await server.journal.create(task, startedOf(task));
    if (!outcome.created) {
      const { labels } = outcome.task;
      if (requestId === null || outcome.task.requestId !== requestId) world.violate("a start got a foreign task");
      if (labels["label"] !== label) world.violate("a start got the task of another request");
      return outcome.task.taskId;
    }
    if (!world.tables.rows.has(taskId) && !world.tables.removed.has(taskId)) {
      world.violate("a start was acknowledged, and its task is not stored");
    }
    if (lease === null) server.feed.announce({ taskId, status: "pending", lastSeq: 0n });
    return taskId;
  } catch (error) {
    const isRefused = error instanceof RequestIdReused && requestId !== null;
    // A request_id is neither free nor taken while its task is removed: such a start is tried again, and given up.
    const mayFail = world.hasFaults || world.plan.tasks.some(({ isRemoved }) => isRemoved);
    const isGivenUp = error instanceof StoreUnavailable && mayFail;
    world.failedStarts++;
    if (!isRefused && !isGivenUp) world.violate(`a start failed: ${String(error)}`);
    return null;
  }
}

/** Runs the attempt of a task that a start has created, and all that happens to the task until its end. */
export async function runTask(world: World, planned: PlannedTask, taskId: string): Promise<void> {
  const fence: Fence = { taskId, lease: "one", attempt: 1 };
  const [one] = world.servers;
  const work = [planned.isRunning ? produce(world, one, { planned, fence, appended: 0n }) : Promise.resolve()];
  if (planned.disturbance !== null) work.push(disturb(world, planned, fence));
  await Promise.all(work);
  await endTask(world, taskId);
  if (planned.isRemoved) await removeTask(world, taskId);
}

interface AttemptParts {
  planned: PlannedTask;
  fence: Fence;
  /** How many events of the attempt are on the tape already. */
  appended: bigint;
}

/** Emits what the plan says, as the code of an attempt does, and holds the writer to its promises. */
async function produce(world: World, server: Server, { planned, fence, appended }: AttemptParts): Promise<void> {
  const { journal, halted } = server;
  let lost = 0;
  const writer = journal.open(fence, { appended, onLost: () => lost++ });
  const checked = async (work: Promise<void>, check: () => void = () => {}): Promise<boolean> => {
    try {
      await work;
      check();
      return true;
    } catch (error) {
      if (error instanceof LeaseLost) {
        if (holds(world, fence)) world.violate("an attempt that owns its task was told that the task is lost");
      } else if (error instanceof StoreUnavailable) {
        if (!halted.signal.aborted) world.violate("an append was given up");
      } else if (!planned.isPoisoned) world.violate(`an append failed: ${String(error)}`);
      if (lost !== 1 && writer.isLost) world.violate(`an attempt was told ${lost} times that its task is lost`);
      return false;
    }
  };
  let number = 0;
  for (const { events, waits } of planned.steps) {
    let room: Promise<void> = Promise.resolve();
    for (let count = 0; count < events; count++) {
      if (BigInt(++number) > appended) room = writer.append(emitted(fence.attempt, number));
    }
    if (waits === "step") await world.scheduler.pause("code");
    if (waits === "room" && !(await checked(room))) return;
    if (waits === "durable" && !(await checked(writer.flush(), durableCheck(world, writer, number)))) return;
  }
  if (planned.isPoisoned) {
    void writer.append({ type: "log", body: POISON });
    await checked(writer.flush(), () => world.violate("an event was acknowledged that the database refuses"));
  } else if (planned.isEnding) {
    await checked(writer.end(SUCCEEDED, "succeeded"), () => {
      const row = world.tables.rows.get(fence.taskId);
      if (row !== undefined && row.status !== "succeeded") world.violate("an end was acknowledged and is not stored");
      durableCheck(world, writer, number)();
    });
  } else {
    await checked(writer.flush(), durableCheck(world, writer, number));
  }
}

/** Returns a check that the events up to a number are stored. */
function durableCheck(world: World, { fence }: TapeWriter, number: number): () => void {
  return () => {
    const row = world.tables.rows.get(fence.taskId);
    if (row !== undefined && countOf(row.events, fence.attempt) < number) {
      world.violate("events were acknowledged and are not stored");
    }
  };
}

function holds(world: World, { taskId, lease, attempt }: Fence): boolean {
  const row = world.tables.rows.get(taskId);
  return row?.status === "running" && row.lease === lease && row.attempt === attempt;
}

async function disturb(world: World, planned: PlannedTask, fence: Fence): Promise<void> {
  const [one, two] = world.servers;
  const { taskId } = fence;
  for (let count = 0; count < planned.disturbedAfter; count++) await world.scheduler.pause("before the disturbance");
  if (planned.disturbance === "cancel") return cancel(world, one, taskId);
  if (planned.disturbance === "ask") return ask(world, one, taskId);
  if (planned.disturbance === "resume") {
    // The worker reconnects to the other server, and sends everything again that the store does not have.
    const row = world.tables.rows.get(taskId);
    if (row === undefined || !holds(world, fence)) return;
    return produce(world, two, { planned, fence, appended: row.appended });
  }
  // The first server is thought dead: the other one takes the task.
  const isRequeued = await control(world, two, taskId, (row) => {
    if (row.status !== "running" || row.attempt !== 1) return null;
    [row.status, row.lease] = ["pending", null];
    const error = { reason: "WORKER_LOST", message: "the process that ran the task is gone" };
    return newEvent("retrying", { error, next_attempt_at: new Date(0).toISOString() });
  });
  if (!isRequeued) return;
  const isClaimed = await control(world, two, taskId, (row) => {
    if (row.status !== "pending") return null;
    [row.status, row.lease, row.attempt, row.appended] = ["running", "two", 2, 0n];
    return newEvent("started", { kind: "echo", attempt: 2 });
  });
  const next: Fence = { taskId, lease: "two", attempt: 2 };
  if (isClaimed && holds(world, next)) await produce(world, two, { planned, fence: next, appended: 0n });
}

/** Requests a cancel, which the code does not heed. */
async function ask(world: World, server: Server, taskId: string): Promise<void> {
  await control(world, server, taskId, ({ status }) => (status === "running" ? ASKED : null));
}

async function cancel(world: World, server: Server, taskId: string): Promise<void> {
  await control(world, server, taskId, (row) => {
    if (isTerminal(row.status)) return null;
    [row.status, row.lease] = ["cancelled", null];
    return CANCELLED;
  });
}

/** Ends a task whose code has not ended it, as a sweeper does. */
export async function endTask(world: World, taskId: string): Promise<void> {
  const row = world.tables.rows.get(taskId);
  if (row !== undefined && !isTerminal(row.status)) await cancel(world, world.servers[0], taskId);
}

/** Removes a task, unless one of its statements may still take effect: Postgres ends those long before. */
async function removeTask(world: World, taskId: string): Promise<void> {
  const { feed, store } = world.servers[0];
  await transact(world, () =>
    store.transact("remove", () => {
      const row = world.tables.rows.get(taskId);
      if (row === undefined || !isTerminal(row.status) || world.late > 0) return;
      world.tables.remove(taskId);
    }),
  );
  const row = world.tables.removed.get(taskId);
  if (row !== undefined) feed.announceRemoval({ taskId, lastSeq: 0n });
}

/** Changes a task in a short transaction, and publishes the change. @returns whether the task was changed */
async function control(
  world: World,
  { feed, store }: Server,
  taskId: string,
  decide: (row: Row) => NewEvent | null,
): Promise<boolean> {
  const { tables } = world;
  const change = () => {
    const row = tables.rows.get(taskId);
    if (row === undefined) return null;
    const event = decide(row);
    if (event !== null) tables.write(row, [event]);
    return { state: { taskId, status: row.status, lastSeq: row.lastSeq }, isChanged: event !== null };
  };
  const answer = await transact(world, () => store.transact("control", change));
  if (answer === null) return false;
  if (answer.isChanged) feed.announce(answer.state);
  else feed.observe(answer.state);
  return answer.isChanged;
}

async function transact<Answer>(world: World, send: () => Promise<Answer>): Promise<Answer> {
  for (;;) {
    try {
      return await send();
    } catch {
      await world.scheduler.sleep("retry of the control path", RETRY_MS);
    }
  }
}
