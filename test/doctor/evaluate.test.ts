import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { worst } from "../../src/doctor/check.ts";
import type { Finding } from "../../src/doctor/check.ts";
import { countText, durationText, namesText } from "../../src/doctor/format.ts";
import {
  judgeClock,
  judgeConnections,
  judgeRoundTrip,
  judgeSettings,
  judgeTransactions,
} from "../../src/doctor/evaluate-database.ts";
import { judgeKinds, judgeSessions, judgeUnchecked } from "../../src/doctor/evaluate-sessions.ts";
import { judgeKeys, judgeRunning, judgeSweeper, judgeWaiting, judgeWakeup } from "../../src/doctor/evaluate-tasks.ts";
import type { SessionState } from "../../src/domain/session.ts";
import type { LockHolder, ServerSettings } from "../../src/store/reports/server-health.ts";

const AT = new Date("2030-01-01T00:00:00Z");
const ago = (ms: number) => new Date(AT.getTime() - ms);

const settings: ServerSettings = {
  version: "15.4",
  versionNumber: 150_004,
  isReadOnly: false,
  encoding: "UTF8",
  fsync: "on",
  full_page_writes: "on",
  autovacuum: "on",
};

/** A session of a lease of 10 s, renewed so long ago. */
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

/** Each of these turns one way, and the one next to it the other. */
const CASES: Record<string, readonly [Finding["status"], Finding, RegExp][]> = {
  "the round trip": [
    ["ok", judgeRoundTrip({ where: "h:1/db", roundTripMs: 49.9 }), /^h:1\/db answers in 50 ms$/],
    ["warn", judgeRoundTrip({ where: "h", roundTripMs: 50 }), /50 ms/],
    ["warn", judgeRoundTrip({ where: "h", roundTripMs: 999 }), /999 ms/],
    ["fail", judgeRoundTrip({ where: "h", roundTripMs: 1_000 }), /1 s/],
  ],
  "the settings of a server": [
    ["ok", judgeSettings(settings), /PostgreSQL 15.4$/],
    ["ok", judgeSettings({ ...settings, versionNumber: 150_000 }), /PostgreSQL/],
    ["fail", judgeSettings({ ...settings, versionNumber: 140_099 }), /older than 15,/],
    ["fail", judgeSettings({ ...settings, isReadOnly: true }), /takes no writes/],
    ["fail", judgeSettings({ ...settings, fsync: "off" }), /fsync off/],
    ["fail", judgeSettings({ ...settings, encoding: "LATIN1" }), /in LATIN1: Spool needs UTF8/],
    ["fail", judgeSettings({ ...settings, full_page_writes: "off" }), /full_page_writes off/],
    ["ok", judgeSettings({ ...settings, fsync: "off" }, { isEmbedded: true }), /in process/],
    ["fail", judgeSettings(settings, { isPooled: true }), /behind a pooler that lends/],
    ["warn", judgeSettings({ ...settings, autovacuum: "off" }), /autovacuum off/],
  ],
  "the connections that are left": [
    ["ok", judgeConnections({ used: 80, max: 97 }), /80 of 97 .* 17 left/],
    ["warn", judgeConnections({ used: 81, max: 97 }), /16 left; a server takes 17/],
    ["warn", judgeConnections({ used: 96, max: 97 }), /1 left/],
    ["fail", judgeConnections({ used: 97, max: 97 }), /0 left/],
    ["fail", judgeConnections({ used: 99, max: 97 }), /0 left/],
  ],
  "transactions that hold locks": [
    ["ok", judgeTransactions({ holders: [], unseen: 0 }), /no transaction/],
    ["ok", judgeTransactions({ holders: [], unseen: 2 }), /2 transactions of roles that/],
    [
      "warn",
      judgeTransactions({ holders: [holder(9_999)], unseen: 0 }),
      /process 7 \(psql, me\).*idle.*locks on tasks/,
    ],
    ["fail", judgeTransactions({ holders: [holder(10_000, { waiting: 3 })], unseen: 0 }), /for 10 s.*3 waiting/],
    ["warn", judgeTransactions({ holders: [holder(99_000, { isIdle: false })], unseen: 0 }), /at work/],
    ["fail", judgeTransactions({ holders: [holder(99_000, { isIdle: false }), holder(10_000)], unseen: 0 }), /1 more/],
  ],
  "the clocks": [
    ["ok", judgeClock({ differenceMs: -1_009, roundTripMs: 20 }), /1 s \(± 10 ms\) behind this machine's/],
    ["warn", judgeClock({ differenceMs: 1_010, roundTripMs: 20 }), /ahead of/],
    ["warn", judgeClock({ differenceMs: -60_009, roundTripMs: 20 }), /behind/],
    ["fail", judgeClock({ differenceMs: -60_010, roundTripMs: 20 }), /behind/],
  ],
  "what was not swept": [
    ["ok", judgeSweeper({ overdue: nothing, leftSessionsMs: [] }), /nothing is overdue by more than 2 s/],
    [
      "warn",
      judgeSweeper({ overdue: { ...nothing, cancel: [task(4_999)] }, leftSessionsMs: [] }),
      /1 task past a cancel/,
    ],
    ["fail", judgeSweeper({ overdue: { ...nothing, deadline: [task(5_000)] }, leftSessionsMs: [] }), /by up to 5 s/],
    ["fail", judgeSweeper({ overdue: { ...nothing, expired: [task(5_000)] }, leftSessionsMs: [] }), /waiting past/],
    ["warn", judgeSweeper({ overdue: { ...nothing, lost: [task(null)] }, leftSessionsMs: [] }), /session is gone$/],
    ["fail", judgeSweeper({ overdue: { ...nothing, lost: [task(null), task(9_000)] }, leftSessionsMs: [] }), /2 tasks/],
    ["warn", judgeSweeper({ overdue: nothing, leftSessionsMs: [70_000] }), /1 session run out 1.2 min ago/],
  ],
  "tasks that are running without running code": [
    ["ok", judgeRunning({ stalled: [], overloaded: [] }), /^every task/],
    [
      "warn",
      judgeRunning({ stalled: [stalled(14_999)], overloaded: [] }),
      /^1 task RUNNING .* t at a\/1 for 14 s, why$/,
    ],
    ["fail", judgeRunning({ stalled: [stalled(15_000), stalled(1)], overloaded: [] }), /^2 tasks RUNNING .* for 15 s/],
    ["warn", judgeRunning({ stalled: [], overloaded: [session(0, { running: 5 })] }), /a\/1 5 with 4 slots$/],
  ],
  "a wakeup": [
    ["ok", judgeWakeup(999), /after 999 ms/],
    ["warn", judgeWakeup(1_000), /after 1 s/],
    ["warn", judgeWakeup(null), /did not arrive/],
  ],
  sessions: [
    ["ok", judgeSessions({ at: AT, sessions: [session(5_000)] }), /^1 server and 0 workers alive, 1 of 4 slots taken$/],
    ["warn", judgeSessions({ at: AT, sessions: [session(5_001)] }), /late to renew: a\/1/],
    ["warn", judgeSessions({ at: AT, sessions: [session(0), session(10_000)] }), /1 session run out/],
    ["fail", judgeSessions({ at: AT, sessions: [] }), /no server is alive/],
    ["fail", judgeSessions({ at: AT, sessions: [session(10_000)] }), /no server is alive/],
    ["fail", judgeSessions({ at: AT, sessions: [session(0, { isWorker: true })] }), /0 servers and 1 worker alive/],
  ],
  "kinds that are waited for": [
    ["ok", kinds("echo", 99_000), /1 kind at those who live/],
    ["ok", kinds("other", 10_000), /none is waited for/],
    ["warn", kinds("other", 10_001), /nobody has other \(2 tasks\), due for up to 10 s/],
  ],
  "what was not looked over": [
    ["ok", unchecked("echo", 9_999), /no task/],
    ["warn", unchecked("echo", 10_000), /echo \(2 tasks\), for up to 10 s/],
    ["fail", unchecked("echo", 60_000), /for up to 1 min/],
    ["ok", unchecked("other", 99_000), /no task/], // Nobody has it: told by the kinds.
    ["ok", unchecked("echo", 99_000, { startedAt: ago(9_999) }), /no task/], // Who has it has just come.
  ],
  "tasks that wait where slots are free": [
    ["ok", judgeWaiting([]), /no task/],
    ["warn", waiting(59_999), /1 task of echo due for 59 s while slots are free: t/],
    ["fail", waiting(60_000), /1 min/],
  ],
  "exclusive keys": [
    ["ok", judgeKeys([]), /every/],
    ["fail", judgeKeys([{ key: "k", taskId: "t", status: null }]), /1 exclusive key .* k by t that is not there/],
    ["fail", judgeKeys([{ key: "k", taskId: "t", status: "failed" }]), /that is failed/],
  ],
};

function kinds(kind: string, waitedMs: number): Finding {
  return judgeKinds([{ kind, count: 2, waitedMs }], { at: AT, sessions: [session(0)], leaseMs: 10_000 });
}

function unchecked(kind: string, waitedMs: number, parts: Partial<SessionState> = {}): Finding {
  return judgeUnchecked([{ kind, count: 2, waitedMs }], { at: AT, sessions: [session(0, parts)] });
}

function waiting(waitedMs: number): Finding {
  return judgeWaiting([{ taskId: "t", attempt: 0, kind: "echo", waitedMs }]);
}

describe("the doctor's verdict", () => {
  for (const [of, cases] of Object.entries(CASES)) {
    it(`on ${of} turns at its bounds`, () => {
      for (const [status, finding, found] of cases) {
        assert.equal(finding.status, status, finding.found);
        assert.match(finding.found, found);
      }
    });
  }

  it("says what to do, by a section that docs/operating.md has", async () => {
    const docs = await readFile(join(import.meta.dirname, "../../docs/operating.md"), "utf8");
    const bad = Object.values(CASES).flatMap((cases) => cases.map(([, finding]) => finding));
    for (const finding of bad) {
      if (finding.status === "ok") continue;
      assert.ok(finding.todo, finding.found);
      assert.ok(docs.includes(`\n## ${finding.section}\n`), `${finding.section} is no section`);
    }
  });

  it("is the worst of all, to which what was skipped adds nothing", () => {
    assert.equal(worst([]), "ok");
    assert.equal(worst(["ok", "skipped"]), "ok");
    assert.equal(worst(["warn", "ok"]), "warn");
    assert.equal(worst(["ok", "fail", "warn"]), "fail");
  });

  it("has figures with their units", () => {
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
