import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { worst } from "../../src/doctor/check.ts";
import type { Finding } from "../../src/doctor/check.ts";
import { countText, durationText, namesText } from "../../src/doctor/format.ts";
import {
  evaluateClock,
  evaluateConnections,
  evaluateRoundTrip,
  evaluateSettings,
  evaluateTransactions,
} from "../../src/doctor/evaluate-database.ts";
import { evaluateKinds, evaluateSessions, evaluateUnvalidated } from "../../src/doctor/evaluate-sessions.ts";
import {
  evaluateKeys,
  evaluateRunning,
  evaluateSweeper,
  evaluateWaiting,
  evaluateWakeup,
} from "../../src/doctor/evaluate-tasks.ts";
import { evaluateMoves } from "../../src/doctor/evaluate-moves.ts";
import { evaluateHooks, evaluateRetention } from "../../src/doctor/evaluate-retention.ts";
import type { SessionState } from "../../src/domain/session.ts";
import type { AbandonedMove } from "../../src/store/moves/move-records.ts";
import type { LockHolder, ServerSettings } from "../../src/store/reports/server-health.ts";

const AT = new Date("2030-01-01T00:00:00Z");
const ago = (ms: number) => new Date(AT.getTime() - ms);

const settings: ServerSettings = {
  version: "15.4",
  versionNumber: 150_004,
  isReadOnly: false,
  encoding: "UTF8",
  product: "PostgreSQL 18.4 on x86_64-pc-linux-gnu",
  distributionProblem: null,
  fsync: "on",
  full_page_writes: "on",
  autovacuum: "on",
};

const move: AbandonedMove = { namespace: "team", from: "home", to: "b", phase: "closed", sinceMs: 60_000 };

/** Creates a session with a lease of 10 s, last renewed `silentMs` ago. */
function session(silentMs: number, parts: Partial<SessionState> = {}): SessionState {
  const times = { startedAt: ago(60_000), seenAt: ago(silentMs), expiresAt: ago(silentMs - 10_000) };
  const whose = { sessionId: "s", host: "a", pid: 1, kinds: ["echo"], capacity: 4, running: 1, isWorker: false };
  return { ...whose, ...times, ...parts };
}

function holder(forMs: number, parts: Partial<LockHolder> = {}): LockHolder {
  const who = { pid: 7, application: "psql", user: "me", isIdle: true };
  return { ...who, forMs, tables: ["tasks"], waiting: 0, ...parts };
}

const stalled = (forMs: number) => ({ taskId: "t", attempt: 1, forMs, reason: "why", host: "a", pid: 1 });
const task = (overdueMs: number | null) => ({ taskId: "t", attempt: 1, overdueMs });
const nothing = { lost: [], cancel: [], deadline: [], expired: [] };

const DAY_MS = 24 * 60 * 60_000;

/** The cases of each entry lie on both sides of every bound. */
const CASES: Record<string, readonly [Finding["status"], Finding, RegExp][]> = {
  "the retention": [
    ["ok", evaluateRetention([]), /^no removal is overdue by more than 1 h/],
    [
      "warn",
      evaluateRetention([
        { overdueMs: DAY_MS, retentionMs: 7 * DAY_MS },
        { overdueMs: 4 * DAY_MS, retentionMs: 30 * DAY_MS },
      ]),
      /kept for 4 d longer than its retention of 30 d/,
    ],
  ],
  "the removal hooks": [
    ["ok", evaluateHooks([]), /pending for 15 min/],
    [
      "warn",
      evaluateHooks([
        { kind: "files", count: 2, oldestMs: DAY_MS, lastError: "disk full" },
        { kind: "b", count: 1, oldestMs: DAY_MS, lastError: null },
      ]),
      /^3 hooks of removed tasks pending: of kind files for 1 d, disk full$/,
    ],
    [
      "warn",
      evaluateHooks([{ kind: "b", count: 1_000, oldestMs: DAY_MS, lastError: null }]),
      /^1,000 hooks or more .* no server runs the kind/,
    ],
  ],
  "the round trip": [
    ["ok", evaluateRoundTrip({ where: "h:1/db", roundTripMs: 49.9 }), /^h:1\/db answers in 50 ms$/],
    ["warn", evaluateRoundTrip({ where: "h", roundTripMs: 50 }), /50 ms/],
    ["warn", evaluateRoundTrip({ where: "h", roundTripMs: 999 }), /999 ms/],
    ["fail", evaluateRoundTrip({ where: "h", roundTripMs: 1_000 }), /1 s/],
  ],
  "the moves of namespaces": [
    ["ok", evaluateMoves([]), /left unfinished/],
    [
      "warn",
      evaluateMoves([{ ...move, phase: "copying" }]),
      /the move of team from home to b, begun 1 min ago, .* is served$/,
    ],
    [
      "fail",
      evaluateMoves([
        { ...move, phase: "copying" },
        { ...move, namespace: "n" },
      ]),
      /of n .* is unavailable, and 1 more$/,
    ],
  ],
  "the settings of a server": [
    ["ok", evaluateSettings(settings), /PostgreSQL 15.4$/],
    ["ok", evaluateSettings({ ...settings, versionNumber: 150_000 }), /PostgreSQL/],
    ["fail", evaluateSettings({ ...settings, versionNumber: 140_099 }), /older than 15,/],
    ["fail", evaluateSettings({ ...settings, isReadOnly: true }), /rejects writes/],
    ["fail", evaluateSettings({ ...settings, fsync: "off" }), /fsync off/],
    ["fail", evaluateSettings({ ...settings, product: "PostgreSQL 15.2-YB-2.25" }), /the database is YugabyteDB/],
    [
      "fail",
      evaluateSettings({ ...settings, distributionProblem: "Citus distributes tasks" }),
      /Citus distributes tasks/,
    ],
    ["fail", evaluateSettings({ ...settings, encoding: "LATIN1" }), /encoding LATIN1: Spool requires UTF8/],
    ["fail", evaluateSettings({ ...settings, full_page_writes: "off" }), /full_page_writes off/],
    ["ok", evaluateSettings({ ...settings, fsync: "off" }, { isEmbedded: true }), /in process/],
    ["fail", evaluateSettings(settings, { isPooled: true }), /behind a pooler in transaction mode/],
    ["warn", evaluateSettings({ ...settings, autovacuum: "off" }), /autovacuum off/],
  ],
  "the free connections": [
    ["ok", evaluateConnections({ used: 80, max: 97 }), /80 of 97 .* 17 free/],
    ["warn", evaluateConnections({ used: 81, max: 97 }), /16 free; a server needs 17/],
    ["warn", evaluateConnections({ used: 96, max: 97 }), /1 free/],
    ["fail", evaluateConnections({ used: 97, max: 97 }), /0 free/],
    ["fail", evaluateConnections({ used: 99, max: 97 }), /0 free/],
  ],
  "transactions that hold locks": [
    ["ok", evaluateTransactions({ holders: [], unseen: 0 }), /no long transaction/],
    ["ok", evaluateTransactions({ holders: [], unseen: 2 }), /2 transactions of other roles not visible/],
    [
      "warn",
      evaluateTransactions({ holders: [holder(9_999)], unseen: 0 }),
      /process 7 \(psql, me\).*idle.*locks on tasks/,
    ],
    ["fail", evaluateTransactions({ holders: [holder(10_000, { waiting: 3 })], unseen: 0 }), /for 10 s.*3 waiting/],
    [
      "warn",
      evaluateTransactions({ holders: [holder(99_000, { isIdle: false })], unseen: 0 }),
      /active in a transaction/,
    ],
    [
      "fail",
      evaluateTransactions({ holders: [holder(99_000, { isIdle: false }), holder(10_000)], unseen: 0 }),
      /1 more/,
    ],
  ],
  "the clocks": [
    ["ok", evaluateClock({ differenceMs: -1_009, roundTripMs: 20 }), /1 s \(± 10 ms\) behind this machine's/],
    ["warn", evaluateClock({ differenceMs: 1_010, roundTripMs: 20 }), /ahead of/],
    ["warn", evaluateClock({ differenceMs: -60_009, roundTripMs: 20 }), /behind/],
    ["fail", evaluateClock({ differenceMs: -60_010, roundTripMs: 20 }), /behind/],
  ],
  "overdue tasks and sessions": [
    ["ok", evaluateSweeper({ overdue: nothing, leftSessionsMs: [] }), /nothing is overdue by more than 2 s/],
    [
      "warn",
      evaluateSweeper({ overdue: { ...nothing, cancel: [task(4_999)] }, leftSessionsMs: [] }),
      /1 task past a cancel/,
    ],
    ["fail", evaluateSweeper({ overdue: { ...nothing, deadline: [task(5_000)] }, leftSessionsMs: [] }), /by up to 5 s/],
    ["fail", evaluateSweeper({ overdue: { ...nothing, expired: [task(5_000)] }, leftSessionsMs: [] }), /waiting past/],
    ["warn", evaluateSweeper({ overdue: { ...nothing, lost: [task(null)] }, leftSessionsMs: [] }), /session is gone$/],
    [
      "fail",
      evaluateSweeper({ overdue: { ...nothing, lost: [task(null), task(9_000)] }, leftSessionsMs: [] }),
      /2 tasks/,
    ],
    ["warn", evaluateSweeper({ overdue: nothing, leftSessionsMs: [70_000] }), /1 session expired 1.2 min ago/],
  ],
  "tasks that are running without running code": [
    ["ok", evaluateRunning({ stalled: [], overloaded: [] }), /^every RUNNING task/],
    [
      "warn",
      evaluateRunning({ stalled: [stalled(14_999)], overloaded: [] }),
      /^1 task RUNNING .* t at a\/1 for 14 s, why$/,
    ],
    [
      "fail",
      evaluateRunning({ stalled: [stalled(15_000), stalled(1)], overloaded: [] }),
      /^2 tasks RUNNING .* for 15 s/,
    ],
    ["warn", evaluateRunning({ stalled: [], overloaded: [session(0, { running: 5 })] }), /a\/1 5 with 4 slots$/],
  ],
  "the wakeup time": [
    ["ok", evaluateWakeup(999), /after 999 ms/],
    ["warn", evaluateWakeup(1_000), /after 1 s/],
    ["warn", evaluateWakeup(null), /did not arrive/],
  ],
  sessions: [
    [
      "ok",
      evaluateSessions({ at: AT, sessions: [session(5_000)] }),
      /^1 server and 0 workers alive, 1 of 4 slots taken$/,
    ],
    ["warn", evaluateSessions({ at: AT, sessions: [session(5_001)] }), /late to renew: a\/1/],
    ["warn", evaluateSessions({ at: AT, sessions: [session(0), session(10_000)] }), /1 session expired/],
    ["fail", evaluateSessions({ at: AT, sessions: [] }), /no server is alive/],
    ["fail", evaluateSessions({ at: AT, sessions: [session(10_000)] }), /no server is alive/],
    ["fail", evaluateSessions({ at: AT, sessions: [session(0, { isWorker: true })] }), /0 servers and 1 worker alive/],
  ],
  "kinds with due tasks": [
    ["ok", kinds("echo", 99_000), /1 kind at live servers and workers/],
    ["ok", kinds("other", 10_000), /no task waits for another kind/],
    ["warn", kinds("other", 10_001), /no live server or worker runs other \(2 tasks\), due for up to 10 s/],
  ],
  "tasks that are not validated": [
    ["ok", unvalidated("echo", 9_999), /no task/],
    ["warn", unvalidated("echo", 10_000), /echo \(2 tasks\), for up to 10 s/],
    ["fail", unvalidated("echo", 60_000), /for up to 1 min/],
    ["ok", unvalidated("other", 99_000), /no task/], // No live process has the kind: the check kinds reports that.
    ["ok", unvalidated("echo", 99_000, { startedAt: ago(9_999) }), /no task/], // The process that has the kind has just started.
  ],
  "tasks that wait while slots are free": [
    ["ok", evaluateWaiting([]), /no due task/],
    ["warn", waiting(59_999), /1 task of echo due for 59 s while slots are free: t/],
    ["fail", waiting(60_000), /1 min/],
  ],
  "exclusive keys": [
    ["ok", evaluateKeys([]), /every/],
    ["fail", evaluateKeys([{ key: "k", taskId: "t", status: null }]), /1 exclusive key .* k by t which does not exist/],
    ["fail", evaluateKeys([{ key: "k", taskId: "t", status: "failed" }]), /which is failed/],
  ],
};

function kinds(kind: string, waitedMs: number): Finding {
  return evaluateKinds([{ kind, count: 2, waitedMs }], { at: AT, sessions: [session(0)], leaseMs: 10_000 });
}

function unvalidated(kind: string, waitedMs: number, parts: Partial<SessionState> = {}): Finding {
  return evaluateUnvalidated([{ kind, count: 2, waitedMs }], { at: AT, sessions: [session(0, parts)] });
}

function waiting(waitedMs: number): Finding {
  return evaluateWaiting([{ taskId: "t", attempt: 0, kind: "echo", waitedMs }]);
}

describe("the doctor's evaluation", () => {
  for (const [of, cases] of Object.entries(CASES)) {
    it(`of ${of} changes its status at the bounds`, () => {
      for (const [status, finding, found] of cases) {
        assert.equal(finding.status, status, finding.found);
        assert.match(finding.found, found);
      }
    });
  }

  it("names a section of docs/operating.md in every piece of advice", async () => {
    const docs = await readFile(join(import.meta.dirname, "../../docs/operating.md"), "utf8");
    const bad = Object.values(CASES).flatMap((cases) => cases.map(([, finding]) => finding));
    for (const finding of bad) {
      if (finding.status === "ok") continue;
      assert.ok(finding.todo, finding.found);
      assert.ok(docs.includes(`\n## ${finding.section}\n`), `${finding.section} is not a section`);
    }
  });

  it("has the worst status of all checks, without the skipped ones", () => {
    assert.equal(worst([]), "ok");
    assert.equal(worst(["ok", "skipped"]), "ok");
    assert.equal(worst(["warn", "ok"]), "warn");
    assert.equal(worst(["ok", "fail", "warn"]), "fail");
  });

  it("formats numbers with their units", () => {
    const durations = [0.42, 9.96, 12.3, 999, 1_000, 1_550, 12_900, 90_000, 720_000, 3_600_000, 86_400_000];
    assert.deepEqual(durations.map(durationText), [
      "0.4 ms",
      "10 ms",
      "12 ms",
      "999 ms",
      "1 s",
      "1.6 s",
      "12 s",
      "1.5 min",
      "12 min",
      "1 h",
      "1 d",
    ]);
    assert.deepEqual([countText(1, "task"), countText(1_000, "task", 1_000)], ["1 task", "1,000 tasks or more"]);
    assert.equal(namesText(["a", "b", "c", "d", "e"]), "a, b, c and 2 more");
  });
});
