import { probeWakeups } from "../engine/cluster/wakeup-probe.ts";
import { OWNERS_TIME_MS } from "../engine/maintenance/sweeper.ts";
import { retainedKinds } from "../domain/retention.ts";
import { requireCurrentSchema, SCHEMA_VERSION } from "../store/migrate.ts";
import { DatabaseDiverged, DatabaseTooNew, DatabaseTooOld } from "../store/schema-steps.ts";
import {
  isPooledByTransaction,
  readConnections,
  readLockHolders,
  readServerSettings,
} from "../store/reports/server-health.ts";
import { listStalledTasks } from "../store/session-queries.ts";
import { countRunningElsewhere } from "../store/reports/shared-slots.ts";
import { readAbandonedMoves } from "../store/moves/move-records.ts";
import { readPendingHooks } from "../store/tasks/removal-hooks.ts";
import { readOverdueTasks } from "../store/tasks/sweep-queries.ts";
import type { OverdueReason, OverdueTask } from "../store/tasks/sweep-queries.ts";
import {
  readClaimable,
  readIdleKeys,
  readUnvalidatedKinds,
  readWaitingKinds,
} from "../store/reports/waiting-queries.ts";
import type { ClaimableTask, WaitingKind } from "../store/reports/waiting-queries.ts";
import { readOverdueRemoval, readOverdueRetained } from "../store/reports/overdue-removals.ts";
import { readHorizonHolders, readTableHealth } from "../store/reports/vacuum-health.ts";
import { ok, skipped } from "./check.ts";
import type { CheckName, Finding } from "./check.ts";
import { evaluateHooks, evaluateRetention } from "./evaluate-retention.ts";
import { evaluateMoves } from "./evaluate-moves.ts";
import { evaluateConnections, evaluateSettings, evaluateTransactions } from "./evaluate-database.ts";
import { isAlive, evaluateKinds, evaluateSessions, evaluateUnvalidated, ownedMax } from "./evaluate-sessions.ts";
import type { SessionSnapshot } from "./evaluate-sessions.ts";
import { evaluateKeys, evaluateRunning, evaluateSweeper, evaluateWaiting, evaluateWakeup } from "./evaluate-tasks.ts";
import { evaluateHorizon, evaluateVacuum } from "./evaluate-vacuum.ts";
import type { DoctorContext } from "./doctor-context.ts";
import { scanStandby } from "./scan-standby.ts";
import {
  HOOK_PENDING_MS,
  IDLE_TRANSACTION_MS,
  LONG_TRANSACTION_MS,
  SWEEP_LATE_MS,
  WAKEUP_GIVEN_UP_MS,
} from "./thresholds.ts";

/** For how many different sets of kinds the next tasks are read. Sessions with the same kinds share a set. */
const KIND_SETS_MAX = 50;

/** A check of a database that was reached. */
export interface Scan {
  name: CheckName;
  scan: (context: DoctorContext) => Promise<Finding>;
}

const IN_PROCESS = "Postgres runs in process: no other client can connect";

/** The scans that work with any schema. */
export const SERVER_SCANS: readonly Scan[] = [
  {
    name: "postgres",
    async scan(context) {
      const isEmbedded = context.url === null;
      const isPooled = !isEmbedded && (await isPooledByTransaction(context.db));
      return evaluateSettings(await context.read(readServerSettings), { isEmbedded, isPooled });
    },
  },
  {
    name: "connections",
    async scan(context) {
      return context.url === null ? skipped(IN_PROCESS) : evaluateConnections(await context.read(readConnections));
    },
  },
  {
    name: "transactions",
    async scan(context) {
      if (context.url === null) return skipped(IN_PROCESS);
      const bounds = { idleMs: IDLE_TRANSACTION_MS.warn, activeMs: LONG_TRANSACTION_MS };
      return evaluateTransactions(await context.read((trx) => readLockHolders(trx, bounds)));
    },
  },
  {
    name: "horizon",
    async scan(context) {
      return context.url === null ? skipped(IN_PROCESS) : evaluateHorizon(await context.read(readHorizonHolders));
    },
  },
  {
    name: "vacuum",
    async scan(context) {
      if (context.url === null) return skipped("the server of the embedded database vacuums it");
      return evaluateVacuum(await context.read(readTableHealth));
    },
  },
  { name: "wakeups", scan: scanWakeups },
  { name: "standby", scan: scanStandby },
];

/** The scans that need a schema that this version may run on. */
export const TASK_SCANS: readonly Scan[] = [
  { name: "sweeper", scan: scanSweeper },
  {
    name: "sessions",
    async scan(context) {
      return evaluateSessions(await context.sessions());
    },
  },
  { name: "running", scan: scanRunning },
  { name: "kinds", scan: scanKinds },
  { name: "waiting", scan: scanWaiting },
  {
    name: "unchecked",
    async scan(context) {
      const unvalidated = await context.read((trx) => readUnvalidatedKinds(trx, context.namespace));
      return evaluateUnvalidated(unvalidated, await context.sessions());
    },
  },
  {
    name: "exclusive_keys",
    async scan(context) {
      return evaluateKeys(await context.read((trx) => readIdleKeys(trx, context.namespace)));
    },
  },
  { name: "retention", scan: scanRetention },
  {
    name: "removal_hooks",
    async scan(context) {
      const query = { namespace: context.namespace, forMs: HOOK_PENDING_MS.warn };
      return evaluateHooks(await context.read((trx) => readPendingHooks(trx, query)));
    },
  },
];

/** Checks that every unfinished move of a namespace has a process that finishes it. */
export async function scanMoves(context: DoctorContext): Promise<Finding> {
  return evaluateMoves(await context.read(readAbandonedMoves));
}

/** Checks that this version may run on the schema. */
export async function scanSchema(context: DoctorContext): Promise<Finding> {
  try {
    const { newest, isNewer } = await context.read(requireCurrentSchema);
    if (isNewer) return ok(`${newest}, newer than this version's ${SCHEMA_VERSION}, which may run on it`);
    return ok(`${SCHEMA_VERSION}, as this version requires`);
  } catch (error) {
    if (error instanceof DatabaseTooOld) {
      const todo = "run spool migrate, or start a server with SPOOL_MIGRATE=on";
      return { status: "fail", found: error.message, todo, section: "Start" };
    }
    if (error instanceof DatabaseTooNew) {
      const todo = "update Spool, this doctor included, to the version that migrated the database";
      return { status: "fail", found: error.message, todo, section: "Start" };
    }
    if (error instanceof DatabaseDiverged) {
      const todo = "run spool migrate of the newest version that used the database, and this doctor from that version";
      return { status: "fail", found: error.message, todo, section: "Start" };
    }
    throw error;
  }
}

async function scanWakeups({ db, url, namespace, settings, signal }: DoctorContext): Promise<Finding> {
  if (url === null) return skipped(IN_PROCESS);
  if (!settings.notify) return skipped("switched off (SPOOL_NOTIFY): servers poll once a second");
  const until = AbortSignal.any([signal, AbortSignal.timeout(WAKEUP_GIVEN_UP_MS)]);
  return evaluateWakeup(await probeWakeups({ db, url, namespace }, until));
}

async function scanSweeper(context: DoctorContext): Promise<Finding> {
  const { namespace, settings } = context;
  const read = (reason: OverdueReason, graceMs: number) =>
    context.read((trx) => readOverdueTasks(trx, { namespace, reason, graceMs, lateMs: SWEEP_LATE_MS.warn }));
  const ownersMs = settings.cancelGraceMs + OWNERS_TIME_MS;
  const overdue: Record<OverdueReason, OverdueTask[]> = {
    lost: await read("lost", 0),
    cancel: await read("cancel", ownersMs),
    deadline: await read("deadline", ownersMs),
    expired: await read("expired", 0),
  };
  // A session may have been closed just now: the next sweep must take its tasks over.
  if (overdue.lost.some(({ overdueMs }) => overdueMs === null)) {
    await context.pause();
    overdue.lost = stillPresent(overdue.lost, await read("lost", 0));
  }
  const { sessions, at } = await context.sessionsNow();
  const leftSessionsMs = sessions
    .filter(({ running }) => running === 0)
    .map(({ expiresAt }) => at.getTime() - expiresAt.getTime())
    .filter((leftMs) => leftMs > SWEEP_LATE_MS.warn);
  return evaluateSweeper({ overdue, leftSessionsMs });
}

async function scanRetention(context: DoctorContext): Promise<Finding> {
  const { namespace, settings } = context;
  const overdue = [await context.read((trx) => readOverdueRetained(trx, { namespace }))];
  for (const retained of retainedKinds(settings)) {
    overdue.push(await context.read((trx) => readOverdueRemoval(trx, { namespace, retained })));
  }
  return evaluateRetention(overdue.filter((found) => found !== null));
}

async function scanRunning(context: DoctorContext): Promise<Finding> {
  const { namespace } = context;
  const stalled = await context.read((trx) => listStalledTasks(trx, namespace));
  const readOverloaded = async () => {
    const { sessions, at } = await context.sessionsNow();
    return sessions.filter((session) => isAlive(session, at) && session.running > ownedMax(session));
  };
  let overloaded = await readOverloaded();
  if (overloaded.length > 0) {
    // The end of one task and the start of the next are stored together: only a lasting excess counts.
    await context.pause();
    const before = new Set(overloaded.map(({ sessionId }) => sessionId));
    overloaded = (await readOverloaded()).filter(({ sessionId }) => before.has(sessionId));
  }
  return evaluateRunning({ stalled, overloaded });
}

async function scanKinds(context: DoctorContext): Promise<Finding> {
  const { namespace } = context;
  const due = await context.read((trx) => readWaitingKinds(trx, namespace));
  const unvalidated = await context.read((trx) => readUnvalidatedKinds(trx, namespace));
  const waiting = new Map<string, WaitingKind>(unvalidated.map((found) => [found.kind, found]));
  for (const found of due) {
    if (found.count >= (waiting.get(found.kind)?.count ?? 0)) waiting.set(found.kind, found);
  }
  const { leaseMs } = context.settings;
  return evaluateKinds([...waiting.values()], { ...(await context.sessions()), leaseMs });
}

/**
 * With a free slot, the next task is claimed within one poll. A slot may have become free just now and the queue may be
 * long, so a task counts as stuck only if two scans find it next in line with a free slot.
 */
async function scanWaiting(context: DoctorContext): Promise<Finding> {
  const first = await readNext(context);
  if (first.length === 0) return evaluateWaiting([]);
  await context.pause();
  return evaluateWaiting(stillPresent(first, await readNext(context)));
}

/** Reads the tasks that sessions with free slots would claim next: for each set of kinds as many as there are slots. */
async function readNext(context: DoctorContext): Promise<ClaimableTask[]> {
  const { namespace } = context;
  const elsewhere = await context.read((trx) => countRunningElsewhere(trx, namespace));
  const free = [...freeSlots(await context.sessionsNow(), elsewhere).values()].slice(0, KIND_SETS_MAX);
  const kindSets = free.map(({ kinds }) => kinds);
  const claimable = await context.read((trx) => readClaimable(trx, { namespace, kindSets }));
  const next = claimable.flatMap((tasks, place) => tasks.slice(0, free[place]!.slots));
  return [...new Map(next.map((task) => [task.taskId, task])).values()];
}

/** Returns the free slots for each set of kinds. @param elsewhere the slots that other namespaces of a server use */
function freeSlots(
  { sessions, at }: SessionSnapshot,
  elsewhere: ReadonlyMap<string, number>,
): Map<string, { kinds: readonly string[]; slots: number }> {
  const free = new Map<string, { kinds: readonly string[]; slots: number }>();
  for (const session of sessions) {
    const slots = session.capacity - session.running - (elsewhere.get(session.sessionId) ?? 0);
    if (slots <= 0 || session.kinds.length === 0 || !isAlive(session, at)) continue;
    const kinds = session.kinds.toSorted();
    const key = JSON.stringify(kinds);
    free.set(key, { kinds, slots: slots + (free.get(key)?.slots ?? 0) });
  }
  return free;
}

/** Returns the tasks that the earlier scan found as well, in the same attempt. */
function stillPresent<Task extends { taskId: string; attempt: number }>(before: readonly Task[], now: Task[]): Task[] {
  const known = new Set(before.map(({ taskId, attempt }) => `${taskId}/${attempt}`));
  return now.filter(({ taskId, attempt }) => known.has(`${taskId}/${attempt}`));
}
