import { quantile } from "../../../bench/statistics.ts";
import type { BalancedFollower } from "./balanced-follower.ts";
import type { Backend } from "./balancer.ts";
import { lasting, resumable } from "./kinds.ts";
import type { Findings } from "./scenario.ts";
import type { AnsweredStart } from "./short-starts.ts";
import { faultsOf, followerFaults } from "./tapes.ts";
import type { StoredEvent, StoredTape } from "./tapes.ts";

// What a rolling restart promises, held against the database, the followers and the sockets.

/** Another server looks for tasks once a second at the latest; the rest is for a machine that is busy. */
const RUNS_ELSEWHERE_MS_MAX = 3_000;

/** A server that was stopped. */
export interface StoppedServer {
  backend: Backend;
  /** By performance.now(). */
  exitedAt: number;
}

/** What there was in one rolling restart. */
export interface Deploy {
  name: string;
  /** How often a follower may have to come back. */
  reconnectsMax: number;
  /** The tasks that lasted through it. */
  taskIds: readonly string[];
  /** The short ones, started all along. */
  starts: readonly AnsweredStart[];
  followers: readonly BalancedFollower[];
  stopped: readonly StoppedServer[];
}

export function checkDeploy(findings: Findings, deploy: Deploy, tapes: ReadonlyMap<string, StoredTape>): void {
  checkLastingTasks(findings, deploy, tapes);
  checkStarts(findings, deploy, tapes);
  checkFollowers(findings, deploy, tapes);
  for (const stopped of deploy.stopped) checkHealth(findings, deploy, stopped);
}

function checkLastingTasks(findings: Findings, { name, taskIds }: Deploy, tapes: ReadonlyMap<string, StoredTape>) {
  const elsewhereMs: number[] = [];
  for (const taskId of taskIds) {
    const tape = tapes.get(taskId)!;
    const faults = [...faultsOf(tape), ...(tape.kind === resumable.name ? resumedFaults(tape) : retriedFaults(tape))];
    if (faults.length > 0) findings.violation(`task ${taskId} (${tape.kind}):`, faults);
    findings.count(`${name}: ${tape.kind} ${tape.status}`);
    findings.count(`${name}: events of lasting tasks`, tape.events.length);
    findings.count(`${name}: hand-overs`, tape.handovers);
    if (tape.kind === lasting.name) findings.count(`${name}: attempts retried`, tape.attempt - 1);
    if (tape.kind === resumable.name) elsewhereMs.push(...pausesMs(tape));
  }
  findings.expect(elsewhereMs.length > 0, `${name}: no task was handed over`);
  if (elsewhereMs.length === 0) return;
  const [p50, max] = [quantile(elsewhereMs, 0.5), Math.max(...elsewhereMs)];
  findings.record(`${name}: handed over to running elsewhere, ms`, `p50 ${p50.toFixed(1)}, max ${max.toFixed(1)}`);
  findings.expect(max <= RUNS_ELSEWHERE_MS_MAX, `${name}: a task that was handed over waited ${max.toFixed(0)} ms`);
}

/** Of a task that every server it was on handed over: no attempt counted, no step was lost or made twice. */
function resumedFaults({ status, attempt, handovers, events }: StoredTape): string[] {
  const faults: string[] = [];
  if (status !== "succeeded") faults.push(`it is ${status}`);
  if (attempt - handovers !== 1) faults.push(`${attempt} attempts with ${handovers} hand-overs`);
  const steps = events.filter(({ type }) => type === "progress");
  if (steps.some(({ body }, index) => body["current"] !== index + 1)) faults.push("its steps are not 1, 2, 3, …");
  const between = events.filter(({ type }) => type === "retrying");
  if (between.length !== handovers || between.some((event) => !isByShutdown(event)))
    faults.push(`${between.length} retrying with ${handovers} hand-overs`);
  const owners = attemptOwners(events);
  if (owners.some((pid, index) => pid !== null && pid === owners[index + 1]))
    faults.push(`it was handed over to the process that it was on: ${owners.join(", ")}`);
  return faults;
}

/** Of a task that is not resumable: each stop used an attempt up, and it failed only when none were left. */
function retriedFaults({ status, attempt, maxAttempts, handovers, events }: StoredTape): string[] {
  const faults: string[] = [];
  if (handovers !== 0) faults.push(`${handovers} hand-overs`);
  const ends = events.filter(({ type, body }) => type === "retrying" || (type === "final" && "error" in body));
  if (ends.some((event) => !isByShutdown(event))) faults.push("an attempt failed by something else than a shutdown");
  const isSpent = status === "failed" && attempt === maxAttempts;
  if (status !== "succeeded" && !isSpent) faults.push(`it is ${status} after ${attempt} of ${maxAttempts} attempts`);
  return faults;
}

function isByShutdown({ body }: StoredEvent): boolean {
  return (body["error"] as { reason: string }).reason === "SERVER_SHUTDOWN";
}

/** The process of each attempt; null: it emitted nothing. */
function attemptOwners(events: readonly StoredEvent[]): (number | null)[] {
  const owners: (number | null)[] = [];
  for (const { type, body } of events) {
    if (type === "started") owners.push(null);
    if (type === "progress") owners[owners.length - 1] = Number((body["detail"] as { pid: number }).pid);
  }
  return owners;
}

/** From each `retrying` to the `started` after it. */
function pausesMs({ events }: StoredTape): number[] {
  return events.flatMap(({ type, timeUs }, index) => {
    const next = events.slice(index).find((event) => event.type === "started");
    return type === "retrying" && next !== undefined ? [(next.timeUs - timeUs) / 1_000] : [];
  });
}

/** Every start that was answered has its task, which ended by itself in its first attempt, and no other was stored. */
function checkStarts(findings: Findings, { name, starts }: Deploy, tapes: ReadonlyMap<string, StoredTape>): void {
  const tookMs = starts.map((start) => start.tookMs);
  const took = `p50 ${quantile(tookMs, 0.5).toFixed(0)}, max ${Math.max(...tookMs).toFixed(0)}`;
  findings.record(`${name}: starts answered`, starts.length);
  findings.record(`${name}: start to its answer, ms`, took);
  const stored = [...tapes.values()].filter(({ requestId }) => requestId?.startsWith(`${name} `));
  findings.expect(stored.length === starts.length, `${name}: ${stored.length} tasks for ${starts.length} starts`);
  for (const { requestId, taskId, refusedBy, alreadyStarted } of starts) {
    if (refusedBy.length > 0) findings.count(`${name}: starts refused and sent again`);
    // A client that stayed at a server that drains would have to wait until that is gone.
    if (new Set(refusedBy).size < refusedBy.length)
      findings.violation(`${name}: start ${requestId} was sent to a server again that had refused it`);
    if (alreadyStarted) findings.count(`${name}: starts that found their task`);
    const tape = tapes.get(taskId);
    if (tape?.requestId !== requestId) {
      findings.violation(`${name}: start ${requestId} was answered with task ${taskId}, which it is not`, tape);
      continue;
    }
    const faults = faultsOf(tape);
    if (tape.status !== "succeeded" || tape.attempt !== 1) faults.push(`it is ${tape.status}, attempt ${tape.attempt}`);
    if (faults.length > 0) findings.violation(`${name}: short task ${taskId}:`, faults, tape.events.at(-1));
  }
}

function checkFollowers(findings: Findings, deploy: Deploy, tapes: ReadonlyMap<string, StoredTape>): void {
  const { name, followers, reconnectsMax } = deploy;
  const reconnects = new Map<number, number>();
  for (const { taskId, events, losses, entrance } of followers) {
    reconnects.set(losses.length, (reconnects.get(losses.length) ?? 0) + 1);
    findings.count(`${name}: events followed`, events.length);
    const faults = followerFaults(events, tapes.get(taskId)!);
    if (losses.length > reconnectsMax) faults.push(`it had to come back ${losses.length} times`);
    // A server that sends its followers away says so; and it does not see them again.
    const untold = losses.filter(({ reason }) => reason !== "DRAINING");
    if (untold.length > 0) faults.push(`lost for other reasons: ${untold.map(({ reason }) => reason).join(", ")}`);
    const left = losses.map(({ backend }) => backend);
    if (left.includes(null)) faults.push("a try to come back was refused");
    if (new Set(left).size < left.length) faults.push("it was cut off twice by one server's stop");
    const { connections } = entrance;
    if (connections.length !== losses.length + 1)
      faults.push(`${connections.length} connections for ${losses.length} losses`);
    if (new Set(connections.map(({ backend }) => backend)).size < connections.length)
      faults.push("it came back to a server that it had been at");
    if (faults.length > 0) findings.violation(`${name}: follower of task ${taskId}:`, faults);
  }
  const histogram = [...reconnects].toSorted(([one], [other]) => one - other);
  findings.record(`${name}: followers`, followers.length);
  findings.record(`${name}: reconnects a follower`, histogram.map(([times, of]) => `${times}: ${of}`).join(", "));
}

/** A server that stops says so to those who ask for its health, while it still serves its followers. */
function checkHealth(findings: Findings, { name, followers }: Deploy, { backend, exitedAt }: StoppedServer): void {
  const losses = followers.flatMap((follower) => follower.losses.filter((loss) => loss.backend === backend));
  const turnedAt = backend.probe.turnedAt("not_serving");
  findings.count(`${name}: servers stopped`);
  if (turnedAt === null) return findings.violation(`${name}: ${backend.address} never said NOT_SERVING`);
  if (losses.length === 0) return findings.violation(`${name}: nobody followed at ${backend.address}`);
  const servedMs = Math.max(...losses.map(({ lastEventAt }) => lastEventAt)) - turnedAt;
  findings.expect(turnedAt < exitedAt, `${name}: ${backend.address} said NOT_SERVING after it had exited`);
  findings.expect(
    losses.every(({ at }) => at > turnedAt) && servedMs > 0,
    `${name}: ${backend.address} sent followers away before it said NOT_SERVING`,
  );
  findings.count(`${name}: servers that served on under NOT_SERVING`);
}
