// Every server is replaced while tasks run, 200 followers follow them through a balancer, and short tasks are started
// all along. First the successors are started before the old ones stop, one after the other; then each server is
// replaced in its place. No event is lost or doubled, no start is lost, a follower comes back at most once for each
// server that stops, and in the first round at most once in all; what can resume goes on elsewhere and fails nowhere.

import { mkdtempDisposable, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import pg from "pg";
import { EXIT } from "../../src/cli/exit-codes.ts";
import { eventually } from "../support/eventually.ts";
import { createDatabase } from "../support/postgres.ts";
import { followBehind } from "./support/balanced-follower.ts";
import type { BalancedFollower } from "./support/balanced-follower.ts";
import { Balancer } from "./support/balancer.ts";
import type { Backend } from "./support/balancer.ts";
import { lasting, resumable, steps } from "./support/kinds.ts";
import { startReplicas, untilReady } from "./support/replicas.ts";
import type { Replica } from "./support/replicas.ts";
import { checkDeploy } from "./support/rolling-checks.ts";
import type { StoppedServer } from "./support/rolling-checks.ts";
import { runScenario } from "./support/scenario.ts";
import type { Findings } from "./support/scenario.ts";
import { startShortTasks } from "./support/short-starts.ts";
import { faultsOf, readTapes } from "./support/tapes.ts";

const SCENARIO_MS_MAX = 120_000;
const SERVERS = 3;
const TASKS = 50;
/** Of the tasks that last, every so many-th cannot resume. */
const NOT_RESUMABLE_EVERY = 3;
const FOLLOWERS = 200;
const STEP_EVERY_MS = 200;
/** Some four times as long as a short task takes, so that none is cut off on a busy machine. */
const DRAIN_MS = 3_000;
/** Of a server that is told to stop twice, in so many milliseconds. */
const SECOND_SIGNAL_MS = 200;
const IMPATIENT_LEASE_MS = 2_000;
const IMPATIENT_EXIT_MS_MAX = 2_000;

/** A server and its place on the balancer's list. */
interface Server {
  replica: Replica;
  backend: Backend;
}

interface Scene {
  url: string;
  folder: string;
  balancer: Balancer;
  findings: Findings;
}

/** Puts running servers on the balancer's list, and waits until it sends connections there. */
async function list(balancer: Balancer, replicas: readonly Replica[]): Promise<Server[]> {
  const servers = replicas.map((replica) => ({ replica, backend: balancer.add(replica.address) }));
  await Promise.all(servers.map(({ backend }) => backend.probe.until("serving")));
  return servers;
}

/** Stops a server in order and waits until it is gone. */
async function stop({ findings }: Scene, { replica, backend }: Server): Promise<StoppedServer> {
  const exitCode = await replica.stop();
  const exitedAt = performance.now();
  findings.expect(exitCode === 0, `${replica.address} exited with ${exitCode}`);
  backend.retire();
  await backend.probe.stop(); // Whoever listens on its port from now on is another server.
  return { backend, exitedAt };
}

/** Starts tasks that last until the file is there, spread over the servers. */
async function startLasting(servers: readonly Server[], untilFile: string): Promise<string[]> {
  const params = { every_ms: STEP_EVERY_MS, until_file: untilFile };
  const started = Array.from({ length: TASKS }, (_, index) => {
    const { client } = servers[index % servers.length]!.replica;
    return index % NOT_RESUMABLE_EVERY === 0
      ? client.start({ kind: lasting.name, params, maxAttempts: 3 })
      : client.start({ kind: resumable.name, params });
  });
  return (await Promise.all(started)).map(({ task }) => task.taskId);
}

/** Runs a deploy under followers, lasting tasks and starts, lets all of it come to its end, and checks it. */
async function deployUnderLoad(
  scene: Scene,
  { name, servers, reconnectsMax }: { name: string; servers: readonly Server[]; reconnectsMax: number },
  roll: () => Promise<StoppedServer[]>,
): Promise<void> {
  const { findings, balancer, url } = scene;
  const [rolled, over] = [new AbortController(), new AbortController()];
  try {
    const untilFile = join(scene.folder, name);
    await untilReady(servers.map(({ replica }) => replica));
    const taskIds = await startLasting(servers, untilFile);
    const followed = Array.from({ length: FOLLOWERS }, (_, index) => taskIds[index % TASKS]!);
    const followers = await Promise.all(followed.map((taskId) => followBehind(balancer, taskId, over.signal)));
    const starting = startShortTasks(balancer, name, rolled.signal);
    const startedAt = performance.now();
    const stopped = await Promise.race([roll(), starting.then(() => Promise.reject(new Error("the starts ended")))]);
    findings.record(`${name}: seconds of the deploy`, ((performance.now() - startedAt) / 1_000).toFixed(1));
    await untilFollowing(followers);
    rolled.abort();
    const starts = await starting;
    await writeFile(untilFile, "");
    await Promise.all(followers.map(({ ended }) => ended));
    await untilAllEnded(url);
    checkDeploy(findings, { name, reconnectsMax, taskIds, starts, followers, stopped }, await readTapes(url));
  } finally {
    rolled.abort();
    over.abort();
  }
}

/** Waits until each follower has been given something new, or the end of its tape. */
async function untilFollowing(followers: readonly BalancedFollower[]): Promise<void> {
  const before = followers.map(({ events }) => events.length);
  await eventually(() => {
    const silent = followers.filter(({ events }, index) => {
      return events.length === before[index] && events.at(-1)?.type !== "final";
    });
    if (silent.length > 0) throw new Error(`${silent.length} followers are given nothing`);
  });
}

async function untilAllEnded(url: string): Promise<void> {
  const sql = new pg.Client(url);
  await sql.connect();
  try {
    await eventually(async () => {
      const { rows } = await sql.query("select task_id, kind, status from tasks where finished_at is null");
      if (rows.length > 0) throw new Error(`${rows.length} tasks have not ended: ${JSON.stringify(rows[0])}`);
    });
  } finally {
    await sql.end();
  }
}

/** Stops servers one after the other, whose successors are ready: they alone are given new connections. */
async function replace(scene: Scene, servers: readonly Server[]): Promise<StoppedServer[]> {
  const stopped: StoppedServer[] = [];
  for (const { backend } of servers) backend.retire();
  for (const server of servers) stopped.push(await stop(scene, server));
  return stopped;
}

/** One server after the other is stopped, and started again before the next. */
async function replaceInPlace(scene: Scene, servers: readonly Server[]): Promise<StoppedServer[]> {
  const stopped: StoppedServer[] = [];
  for (const server of servers) {
    stopped.push(await stop(scene, server));
    await server.replica.restart();
    await list(scene.balancer, [server.replica]);
  }
  return stopped;
}

/** A server whose drain is long is told to stop a second time: it ends at once, and its tasks go by their leases. */
async function stopTwice({ url, findings }: Scene, survivor: Replica): Promise<void> {
  const environment = { SPOOL_DRAIN_MS: "600000", SPOOL_LEASE_MS: `${IMPATIENT_LEASE_MS}` };
  await using replicas = await startReplicas({ count: 1, databaseUrl: url, environment });
  const [replica] = replicas;
  await untilReady(replicas);
  const startHere = (maxAttempts: number) =>
    eventually(async () => {
      const params = { events: 10_000, every_ms: STEP_EVERY_MS };
      const { task } = await replica!.client.start({ kind: steps.name, params, maxAttempts });
      if (task.status === "running") return task;
      await replica!.client.cancel(task);
      throw new Error("a start waits, and any server may take it");
    });
  const [ending, retried] = [await startHere(1), await startHere(2)];
  replica!.signal("SIGTERM");
  await setTimeout(SECOND_SIGNAL_MS);
  findings.expect((await replica!.client.get(ending)).status === "running", "it ended a task within its drain");
  const signalledAt = performance.now();
  const exitCode = await replica!.stop();
  const tookMs = performance.now() - signalledAt;
  findings.record("second SIGTERM to exit, ms", tookMs.toFixed(0));
  findings.expect(tookMs <= IMPATIENT_EXIT_MS_MAX, `a second SIGTERM took ${tookMs.toFixed(0)} ms`);
  findings.expect(exitCode === EXIT.terminated, `it exited with ${exitCode}`);
  const { client } = survivor;
  const { error } = await client.waitFinal({ taskId: ending.taskId, timeoutMs: 30_000 });
  findings.expect(error?.reason === "WORKER_LOST", "its task with one attempt did not end as lost", error);
  for await (const event of client.follow(retried)) {
    if (event.type === "started" && event.attempt === 2) break;
    findings.expect(event.type !== "final", "its task with two attempts did not run again", event);
  }
  findings.record(
    "second SIGTERM to its tasks' end elsewhere, s",
    ((performance.now() - signalledAt) / 1_000).toFixed(1),
  );
  await client.cancel(retried);
  await client.waitFinal({ taskId: retried.taskId, timeoutMs: 30_000 });
}

async function checkAll({ url, findings }: Scene): Promise<void> {
  for (const tape of (await readTapes(url)).values()) {
    findings.count("tasks");
    findings.count("events", tape.events.length);
    const faults = faultsOf(tape);
    if (faults.length > 0) findings.violation(`task ${tape.taskId} (${tape.kind}):`, faults);
  }
}

async function rolling(findings: Findings): Promise<void> {
  console.log(
    `${SERVERS} servers are replaced twice, under ${TASKS} tasks with ${FOLLOWERS} followers, and while tasks are started`,
  );
  await using folder = await mkdtempDisposable(join(tmpdir(), "spool-rolling-"));
  await using database = await createDatabase();
  await using balancer = new Balancer();
  await using started = new AsyncDisposableStack();
  const scene: Scene = { url: database.url, folder: folder.path, balancer, findings };
  const start = async () => {
    const environment = { SPOOL_DRAIN_MS: `${DRAIN_MS}` };
    return started.use(await startReplicas({ count: SERVERS, databaseUrl: database.url, environment }));
  };
  const old = await list(balancer, await start());
  let successors: Server[] = [];
  await deployUnderLoad(scene, { name: "successors first", servers: old, reconnectsMax: 1 }, async () => {
    successors = await list(balancer, await start());
    return replace(scene, old);
  });
  const inPlace = { name: "in place", servers: successors, reconnectsMax: SERVERS };
  await deployUnderLoad(scene, inPlace, () => replaceInPlace(scene, successors));
  await stopTwice(scene, successors[0]!.replica);
  await checkAll(scene);
}

await runScenario("rolling", rolling, { msMax: SCENARIO_MS_MAX });
