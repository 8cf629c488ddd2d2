// Servers, workers and clients of the previous release and of this checkout share one database that this version has
// migrated. Clients of both start, run, follow and cancel tasks at servers of both. Workers of both run tasks at servers
// of both. Meanwhile servers and workers of both are killed, stopped and started again in a random order. Afterwards the
// tapes are held against what is promised. `-- --seed N` repeats an order.

import { mkdtempDisposable, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";
import manifest from "../../package.json" with { type: "json" };
import { connect } from "../../src/client/client.ts";
import type { SpoolClient } from "../../src/client/client.ts";
import { CRASHES_MAX } from "../../src/domain/limits.ts";
import { eventually } from "../support/eventually.ts";
import { createDatabase } from "../support/postgres.ts";
import { callAnywhere } from "./support/anywhere.ts";
import { CuttingRelay } from "./support/cutting-relay.ts";
import type { Followed } from "./support/followers.ts";
import { followAll, SERVER_TASKS, startServerTasks, startWorkerTasks } from "./support/mixed-load.ts";
import { checkOutPreviousRelease, hasPreviousRelease, PREVIOUS_RELEASE } from "./support/previous-release.ts";
import { SeededRandom } from "./support/random.ts";
import { startReplicas } from "./support/replicas.ts";
import type { Replica } from "./support/replicas.ts";
import { runScenario } from "./support/scenario.ts";
import type { Findings } from "./support/scenario.ts";
import { faultsOf, followerFaults, overlaps, readTapes } from "./support/tapes.ts";
import { startCrew } from "./support/worker-crew.ts";
import type { CrewMember } from "./support/worker-crew.ts";
import { checkWorkers } from "./support/worker-findings.ts";
import { readNotes } from "./support/worker-notes.ts";

const SCENARIO_MS_MAX = 300_000;
const RELEASES = ["previous", "current"] as const;
type Release = (typeof RELEASES)[number];
/** How the findings name the two. The version of a checkout stays that of the release before until it is raised. */
const VERSION: Readonly<Record<Release, string>> = {
  previous: PREVIOUS_RELEASE.version,
  current: `this checkout (${manifest.version})`,
};
/** Of each release. */
const SERVERS = 2;
const CONCURRENCY = 8;
const SERVER_TASKS_TOTAL = 400;
const WORKER_TASKS_TOTAL = 400;
/** So long tasks are started, and servers and workers killed. */
const LOAD_MS = 60_000;
const FAULT_EVERY_MS = 1_000;
const WORKER_EVERY_MS = 8_000;
/** At least so many times each server is killed or stopped, however slow the machine is. Some tasks last that long. */
const ROUNDS_MIN = 2;
const LEASE_MS = 3_000;
const GRACE_MS = 1_000;
const DRAIN_MS = 500;
const HEARTBEAT_MS = 2_000;
const ENDS_MS_MAX = 90_000;
/** When all tasks have ended, a follower of all tasks has so long to see it. */
const SEEN_MS_MAX = 15_000;

interface Server {
  release: Release;
  replica: Replica;
}

interface Worker {
  release: Release;
  member: CrewMember;
}

/**
 * Kills or stops servers, one after the other and in rounds of a random order, until the signal fires and ROUNDS_MIN is
 * reached. Starts each again before the next.
 */
async function breakServers(
  servers: readonly Server[],
  random: SeededRandom,
  { findings, signal }: { findings: Findings; signal: AbortSignal },
): Promise<void> {
  for (let round = 1; ; round++) {
    for (const { release, replica } of random.shuffle(servers)) {
      await setTimeout(FAULT_EVERY_MS * random.next(), undefined, { signal }).catch(() => {});
      if (signal.aborted && round > ROUNDS_MIN) return;
      const isKilled = random.next() < 0.5;
      if (isKilled) await replica.kill();
      else findings.expect((await replica.stop()) === 0, `a server of ${VERSION[release]} did not exit with 0`);
      await replica.restart();
      findings.count(`servers of ${VERSION[release]} ${isKilled ? "killed" : "stopped"} and started again`);
      findings.count(restartsOf(release));
    }
  }
}

/** Kills or stops workers as `breakServers` does servers. */
async function breakWorkers(
  workers: readonly Worker[],
  random: SeededRandom,
  { findings, signal }: { findings: Findings; signal: AbortSignal },
): Promise<void> {
  for (;;) {
    for (const { release, member } of random.shuffle(workers)) {
      await setTimeout(WORKER_EVERY_MS, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      const isKilled = random.next() < 0.5;
      await member.replace(isKilled ? "SIGKILL" : "SIGTERM");
      findings.count(`workers of ${VERSION[release]} ${isKilled ? "killed" : "stopped"}`);
    }
  }
}

function restartsOf(release: Release): string {
  return `restarts of ${VERSION[release]}`;
}

async function untilAllEnd(clients: readonly SpoolClient[]): Promise<void> {
  const check = async () => {
    const page = await callAnywhere(clients, (client) =>
      Array.fromAsync(client.list({ statuses: ["pending", "running"] }), (task) => `${task.kind} ${task.status}`),
    );
    if (page.length > 0) throw new Error(page.join(", "));
  };
  await eventually(check, { timeoutMs: ENDS_MS_MAX, describe: "every task has ended" });
}

interface Aftermath {
  url: string;
  folder: string;
  workerTasks: number;
  crew: readonly CrewMember[];
  followed: readonly Followed[];
  seen: readonly ReadonlyMap<string, Followed["events"]>[];
}

async function check(findings: Findings, aftermath: Aftermath): Promise<void> {
  const { url, folder, crew, followed, seen, workerTasks } = aftermath;
  const tapes = await readTapes(url);
  const isOfServers = ({ requestId }: { requestId: string | null }) => requestId!.startsWith(SERVER_TASKS.prefix);
  const ofServers = [...tapes.values()].filter(isOfServers);
  findings.expect(ofServers.length === SERVER_TASKS_TOTAL, `there are ${ofServers.length} tasks of servers`);
  for (const tape of ofServers) {
    findings.count(`tasks at servers ${tape.status}`);
    findings.count("attempts at servers", tape.attempt);
    const faults = faultsOf(tape);
    if (faults.length > 0) findings.violation(`task ${tape.taskId} (${tape.kind}):`, faults);
    for (const seenTapes of seen) {
      const faults = followerFaults(seenTapes.get(tape.taskId) ?? [], tape);
      if (faults.length > 0) findings.violation(`task ${tape.taskId}, in a stream over all tasks:`, faults);
    }
  }
  for (const overlap of overlaps(ofServers)) findings.violation("exclusive tasks overlap", overlap);
  findings.count("tapes followed", followed.length);
  for (const { taskId, events } of followed) {
    for (const fault of followerFaults(events, tapes.get(taskId)!)) findings.violation(`task ${taskId}:`, fault);
  }
  const ofWorkers = new Map([...tapes].filter(([, tape]) => !isOfServers(tape)));
  const notes = readNotes(folder);
  checkWorkers(findings, { tapes: ofWorkers, tasks: workerTasks, concurrency: CONCURRENCY, crew, notes });
  for (const release of RELEASES) {
    const restarts = findings.countOf(restartsOf(release));
    findings.expect(restarts >= SERVERS * ROUNDS_MIN, `${restarts} restarts of servers of ${VERSION[release]}`);
  }
}

/** Waits until a follower of all tasks has seen the end of each. */
async function untilSeen(url: string, seen: readonly ReadonlyMap<string, Followed["events"]>[]): Promise<void> {
  const total = [...(await readTapes(url)).values()].filter(({ requestId }) =>
    requestId!.startsWith(SERVER_TASKS.prefix),
  ).length;
  const check = () => {
    const counts = seen.map((tapes) => [...tapes.values()].filter((tape) => tape.at(-1)?.type === "final").length);
    if (counts.some((count) => count < total)) throw new Error(`${counts.join(" and ")} of ${total} ends`);
  };
  await eventually(check, { timeoutMs: SEEN_MS_MAX, describe: "the followers of all tasks have seen each end" });
}

async function mixedVersions(findings: Findings, random: SeededRandom): Promise<void> {
  console.log(
    `${SERVERS} servers, 3 workers and a client for each server of ${VERSION.previous} and of ${VERSION.current}, ` +
      `seed ${random.seed}`,
  );
  await using folder = await mkdtempDisposable(join(tmpdir(), "spool-mixed-versions-"));
  const previous = await checkOutPreviousRelease(folder.path);
  await using database = await createDatabase();
  const common = {
    count: SERVERS,
    databaseUrl: database.url,
    environment: {
      SPOOL_LEASE_MS: `${LEASE_MS}`,
      SPOOL_CANCEL_GRACE_MS: `${GRACE_MS}`,
      SPOOL_DRAIN_MS: `${DRAIN_MS}`,
      // Servers and workers are killed at random: three in a row may have had the same task, which is not to blame.
      SPOOL_CRASHES_MAX: `${CRASHES_MAX}`,
      // After the first packed tape, the previous release could not be started again.
      SPOOL_PACK_AFTER: "never",
    },
    retryMs: 0,
    heartbeatMs: HEARTBEAT_MS,
  };
  // This version migrates the database, on which the previous release then starts.
  await using current = await startReplicas(common);
  await using older = await startReplicas({ ...common, root: previous.root });
  const servers: Server[] = [
    ...current.map((replica): Server => ({ release: "current", replica })),
    ...older.map((replica): Server => ({ release: "previous", replica })),
  ];
  using opened = new DisposableStack();
  const clientsOf = (open: typeof connect) =>
    servers.map(({ replica: { address } }) => opened.use(open({ address, retryMs: 0, heartbeatMs: HEARTBEAT_MS })));
  const clients = { previous: clientsOf(previous.connect), current: clientsOf(connect) };
  const all = [...clients.previous, ...clients.current];

  await using relay = await CuttingRelay.open(servers.map(({ replica }) => replica.address));
  await using crews = new AsyncDisposableStack();
  const workers = RELEASES.flatMap((release): Worker[] => {
    const places = [
      ["a server of each", relay.address],
      [VERSION.previous, older[0]!.address],
      [VERSION.current, current[0]!.address],
    ] as const;
    return places.flatMap(([place, address]) => {
      const crew = startCrew(
        { typescript: 1, python: 0 },
        {
          prefix: `${VERSION[release]} at ${place}: `,
          ...(release === "previous" && { root: previous.root }),
          address,
          folder: folder.path,
          concurrency: CONCURRENCY,
          onPrinted: ({ name }, line) => findings.violation(`${name} printed`, line),
          onDied: ({ name }, how) => findings.violation(`${name} ended by itself with ${how}`),
        },
      );
      crews.use(crew);
      return crew.map((member) => ({ release, member }));
    });
  });
  const expectSessions = async () => {
    const { sessions } = await callAnywhere(all, (client) => client.sessions());
    if (sessions.length !== servers.length + workers.length) throw new Error(`${sessions.length} sessions`);
  };
  await eventually(expectSessions, { timeoutMs: 30_000, describe: "every server and worker has a session" });

  const [loaded, over] = [new AbortController(), new AbortController()];
  const seen = [new Map(), new Map()] as Map<string, Followed["events"]>[];
  const following = seen.map((tapes) => followAll(all, tapes, { findings, signal: over.signal }));
  for (const follower of following) follower.catch(() => {}); // Thrown where it is awaited.
  const faults = { findings, signal: loaded.signal };
  const breaking = Promise.all([
    breakServers(servers, random, faults),
    breakWorkers(workers, new SeededRandom(random.seed + 1), faults),
  ]);
  breaking.catch(() => {});
  const untilFile = join(folder.path, "over");
  try {
    const [followers, workerTasks] = await Promise.all([
      startServerTasks(clients, { total: SERVER_TASKS_TOTAL, forMs: LOAD_MS, untilFile }, findings),
      startWorkerTasks(all, { total: WORKER_TASKS_TOTAL, forMs: LOAD_MS }, findings),
    ]);
    loaded.abort();
    await breaking;
    await writeFile(untilFile, "");
    await untilAllEnd(all).catch((error: unknown) => findings.violation("tasks are left", error));
    const followed = await Promise.all(followers);
    await untilSeen(database.url, seen).catch((error: unknown) => findings.violation("a stream lacks ends", error));
    over.abort();
    await Promise.all(following);
    const crew = workers.map(({ member }) => member);
    await check(findings, { url: database.url, folder: folder.path, workerTasks, crew, followed, seen });
  } finally {
    loaded.abort();
    over.abort();
    await Promise.allSettled([breaking, ...following]);
  }
}

const { values } = parseArgs({ options: { seed: { type: "string" } } });
const random = new SeededRandom(Number(values.seed ?? Math.floor(Math.random() * 2 ** 32)));
if (await hasPreviousRelease()) {
  await runScenario("mixed-versions", (findings) => mixedVersions(findings, random), { msMax: SCENARIO_MS_MAX });
} else {
  const { version, commit } = PREVIOUS_RELEASE;
  console.error(
    `mixed-versions: the git history lacks commit ${commit} (Spool ${version}), as in a shallow clone: ` +
      `fetch the whole history with git fetch --unshallow`,
  );
  process.exitCode = 1;
}
