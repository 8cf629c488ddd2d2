import { probeWakeups } from "../engine/cluster/wakeup-probe.ts";
import { OWNERS_TIME_MS } from "../engine/maintenance/sweeper.ts";
import { DatabaseTooNew, DatabaseTooOld, requireCurrentSchema, SCHEMA_VERSION } from "../store/migrate.ts";
import {
  isPooledByTransaction,
  readConnections,
  readLockHolders,
  readServerSettings,
} from "../store/reports/server-health.ts";
import { listStalledTasks } from "../store/session-queries.ts";
import { readOverdueTasks } from "../store/tasks/sweep-queries.ts";
import type { OverdueReason, OverdueTask } from "../store/tasks/sweep-queries.ts";
import { readClaimable, readIdleKeys, readUncheckedKinds, readWaitingKinds } from "../store/reports/waiting-queries.ts";
import type { ClaimableTask, WaitingKind } from "../store/reports/waiting-queries.ts";
import { ok, skipped } from "./check.ts";
import type { CheckName, Finding } from "./check.ts";
import { judgeConnections, judgeSettings, judgeTransactions } from "./evaluate-database.ts";
import { isAlive, judgeKinds, judgeSessions, judgeUnchecked, ownedMax } from "./evaluate-sessions.ts";
import type { SeenSessions } from "./evaluate-sessions.ts";
import { judgeKeys, judgeRunning, judgeSweeper, judgeWaiting, judgeWakeup } from "./evaluate-tasks.ts";
import type { Patient } from "./doctor-context.ts";
import { IDLE_TRANSACTION_MS, LONG_TRANSACTION_MS, SWEEP_LATE_MS, WAKEUP_GIVEN_UP_MS } from "./thresholds.ts";

/** Of servers and workers that have the same kinds one claim is tried: of so many different ones. */
const KIND_SETS_MAX = 50;

/** A look at a database that was reached. */
export interface Look {
  name: CheckName;
  look: (patient: Patient) => Promise<Finding>;
}

const IN_PROCESS = "Postgres runs in the process: nobody else can be on it";

/** What can be seen whatever the schema. */
export const SERVER_LOOKS: readonly Look[] = [
  {
    name: "postgres",
    async look(patient) {
      const isEmbedded = patient.url === null;
      const isPooled = !isEmbedded && (await isPooledByTransaction(patient.db));
      return judgeSettings(await patient.read(readServerSettings), { isEmbedded, isPooled });
    },
  },
  {
    name: "connections",
    async look(patient) {
      return patient.url === null ? skipped(IN_PROCESS) : judgeConnections(await patient.read(readConnections));
    },
  },
  {
    name: "transactions",
    async look(patient) {
      if (patient.url === null) return skipped(IN_PROCESS);
      const bounds = { idleMs: IDLE_TRANSACTION_MS.warn, activeMs: LONG_TRANSACTION_MS };
      return judgeTransactions(await patient.read((trx) => readLockHolders(trx, bounds)));
    },
  },
  { name: "wakeups", look: lookAtWakeups },
];

/** What can be seen on this program's schema. */
export const TASK_LOOKS: readonly Look[] = [
  { name: "sweeper", look: lookAtSweeper },
  {
    name: "sessions",
    async look(patient) {
      return judgeSessions(await patient.sessions());
    },
  },
  { name: "running", look: checkRunning },
  { name: "kinds", look: lookAtKinds },
  { name: "waiting", look: lookAtWaiting },
  {
    name: "unchecked",
    async look(patient) {
      const unchecked = await patient.read((trx) => readUncheckedKinds(trx, patient.namespace));
      return judgeUnchecked(unchecked, await patient.sessions());
    },
  },
  {
    name: "exclusive_keys",
    async look(patient) {
      return judgeKeys(await patient.read((trx) => readIdleKeys(trx, patient.namespace)));
    },
  },
];

export async function lookAtSchema(patient: Patient): Promise<Finding> {
  try {
    await patient.read(requireCurrentSchema);
    return ok(`at ${SCHEMA_VERSION}, this program's`);
  } catch (error) {
    if (error instanceof DatabaseTooOld) {
      const todo = "run spool migrate, or start a server that may (SPOOL_MIGRATE)";
      return { status: "fail", found: error.message, todo, section: "Start" };
    }
    if (error instanceof DatabaseTooNew) {
      const todo = "run a Spool as new as the one that migrated it, this doctor too";
      return { status: "fail", found: error.message, todo, section: "Start" };
    }
    throw error;
  }
}

async function lookAtWakeups({ db, url, namespace, settings, signal }: Patient): Promise<Finding> {
  if (url === null) return skipped(IN_PROCESS);
  if (!settings.notify) return skipped("switched off (SPOOL_NOTIFY): servers find out by looking, once a second");
  const until = AbortSignal.any([signal, AbortSignal.timeout(WAKEUP_GIVEN_UP_MS)]);
  return judgeWakeup(await probeWakeups({ db, url, namespace }, until));
}

async function lookAtSweeper(patient: Patient): Promise<Finding> {
  const { namespace, settings } = patient;
  const read = (reason: OverdueReason, graceMs: number) =>
    patient.read((trx) => readOverdueTasks(trx, { namespace, reason, graceMs, lateMs: SWEEP_LATE_MS.warn }));
  const ownersMs = settings.cancelGraceMs + OWNERS_TIME_MS;
  const overdue: Record<OverdueReason, OverdueTask[]> = {
    lost: await read("lost", 0),
    cancel: await read("cancel", ownersMs),
    deadline: await read("deadline", ownersMs),
    expired: await read("expired", 0),
  };
  // A session that was closed may have left its tasks a moment ago: they are to be gone with the next sweep.
  if (overdue.lost.some(({ overdueMs }) => overdueMs === null)) {
    await patient.pause();
    overdue.lost = seenBefore(overdue.lost, await read("lost", 0));
  }
  const { sessions, at } = await patient.sessionsNow();
  const leftSessionsMs = sessions
    .filter(({ running }) => running === 0)
    .map(({ expiresAt }) => at.getTime() - expiresAt.getTime())
    .filter((leftMs) => leftMs > SWEEP_LATE_MS.warn);
  return judgeSweeper({ overdue, leftSessionsMs });
}

async function checkRunning(patient: Patient): Promise<Finding> {
  const { namespace } = patient;
  const stalled = await patient.read((trx) => listStalledTasks(trx, namespace));
  const readOverloaded = async () => {
    const { sessions, at } = await patient.sessionsNow();
    return sessions.filter((session) => isAlive(session, at) && session.running > ownedMax(session));
  };
  let overloaded = await readOverloaded();
  if (overloaded.length > 0) {
    // The end of one and the start of another may be stored at once: the excess has to last.
    await patient.pause();
    const before = new Set(overloaded.map(({ sessionId }) => sessionId));
    overloaded = (await readOverloaded()).filter(({ sessionId }) => before.has(sessionId));
  }
  return judgeRunning({ stalled, overloaded });
}

async function lookAtKinds(patient: Patient): Promise<Finding> {
  const { namespace } = patient;
  const due = await patient.read((trx) => readWaitingKinds(trx, namespace));
  const unchecked = await patient.read((trx) => readUncheckedKinds(trx, namespace));
  const waiting = new Map<string, WaitingKind>(unchecked.map((found) => [found.kind, found]));
  for (const found of due) {
    if (found.count >= (waiting.get(found.kind)?.count ?? 0)) waiting.set(found.kind, found);
  }
  const { leaseMs } = patient.settings;
  return judgeKinds([...waiting.values()], { ...(await patient.sessions()), leaseMs });
}

/**
 * With a free slot, what is next is taken within a poll. A slot may have become free just now, and the queue be long:
 * so a task counts that is next at a second look as well, with a slot free again.
 */
async function lookAtWaiting(patient: Patient): Promise<Finding> {
  const first = await readNext(patient);
  if (first.length === 0) return judgeWaiting([]);
  await patient.pause();
  return judgeWaiting(seenBefore(first, await readNext(patient)));
}

/** What those who have free slots would take next: of each set of kinds as many as there is room for. */
async function readNext(patient: Patient): Promise<ClaimableTask[]> {
  const { namespace } = patient;
  const free = [...freeSlots(await patient.sessionsNow()).values()].slice(0, KIND_SETS_MAX);
  const kindSets = free.map(({ kinds }) => kinds);
  const claimable = await patient.read((trx) => readClaimable(trx, { namespace, kindSets }));
  const next = claimable.flatMap((tasks, place) => tasks.slice(0, free[place]!.slots));
  return [...new Map(next.map((task) => [task.taskId, task])).values()];
}

function freeSlots({ sessions, at }: SeenSessions): Map<string, { kinds: readonly string[]; slots: number }> {
  const free = new Map<string, { kinds: readonly string[]; slots: number }>();
  for (const session of sessions) {
    const slots = session.capacity - session.running;
    if (slots <= 0 || session.kinds.length === 0 || !isAlive(session, at)) continue;
    const kinds = session.kinds.toSorted();
    const key = JSON.stringify(kinds);
    free.set(key, { kinds, slots: slots + (free.get(key)?.slots ?? 0) });
  }
  return free;
}

/** Those that were there before, in the same attempt. */
function seenBefore<Seen extends { taskId: string; attempt: number }>(before: readonly Seen[], now: Seen[]): Seen[] {
  const known = new Set(before.map(({ taskId, attempt }) => `${taskId}/${attempt}`));
  return now.filter(({ taskId, attempt }) => known.has(`${taskId}/${attempt}`));
}
