// Two servers run 2,000 tasks in 20 namespaces, on four shards: two schemas on each of two Postgres servers. Every tape
// is followed, and every namespace by a stream over many tasks. Servers are killed in turn, one of the two Postgres
// servers is killed, and five namespaces are moved meanwhile, some of the moves killed as well. Afterwards the databases
// and what the followers read are held against the promises. While the one Postgres is down, calls to the namespaces on
// the other may take half as long again, and no longer.

import { setTimeout } from "node:timers/promises";
import { setNamespace } from "../../src/client/admin/namespace-calls.ts";
import { connect } from "../../src/client/client.ts";
import type { SpoolClient, SpoolEvent, StartRequest } from "../../src/client/client.ts";
import { openConnection } from "../../src/client/transport/connection.ts";
import { quantile } from "../../bench/statistics.ts";
import { HOME_SHARD } from "../../src/domain/shard.ts";
import { moveNamespace } from "../../src/server/placement/move-namespace.ts";
import { readNamespaces } from "../../src/store/access/namespaces.ts";
import { eventually } from "../support/eventually.ts";
import { openShardedDatabases } from "../support/sharded-service.ts";
import type { ShardedDatabases } from "../support/sharded-service.ts";
import { callAnywhere } from "./support/anywhere.ts";
import { followAnywhere } from "./support/followers.ts";
import type { Followed } from "./support/followers.ts";
import { flaky, steps } from "./support/kinds.ts";
import { followNamespace } from "./support/tenants.ts";
import type { Tenant } from "./support/tenants.ts";
import { startReplicas } from "./support/replicas.ts";
import type { Replicas } from "./support/replicas.ts";
import { inParallel, runScenario } from "./support/scenario.ts";
import type { Findings } from "./support/scenario.ts";
import { faultsOf, followerFaults, readTapes } from "./support/tapes.ts";
import type { StoredTape } from "./support/tapes.ts";

const REPLICAS = 2;
const NAMESPACES = 20;
const TASKS = 2_000;
const AT_ONCE = 24;
/** Tasks are started over so long at least. */
const STARTING_MS = 60_000;
const KILL_EVERY_MS = 6_000;
const MOVED = 5;
/** Every second move is killed once, and then goes on. */
const KILLED_EVERY = 2;
const DOWN_MS = 6_000;
const RATIO_MAX = 1.5;
const SAMPLES = 300;
const SAMPLE_EVERY_MS = 10;
const WAIT_MS = 60_000;
const SCENARIO_MS_MAX = 420_000;

function requestOf(index: number): StartRequest & { requestId: string } {
  const requestId = `task-${index}`;
  switch (index % 5) {
    case 0:
      return { requestId, kind: steps.name, params: { events: 20, every_ms: 50 }, maxAttempts: 9 };
    case 1:
      return { requestId, kind: flaky.name, params: { events: 3, failing_attempts: 1 }, maxAttempts: 9 };
    case 2:
      return { requestId, kind: steps.name, params: { events: 100, every_ms: 0 }, maxAttempts: 9 };
    default:
      return { requestId, kind: "echo", params: { count: 3, delay_ms: index % 5 }, maxAttempts: 9 };
  }
}

async function startTasks(
  tenants: readonly Tenant[],
  findings: Findings,
  follow: (tenant: Tenant, id: string) => void,
) {
  const begunAt = performance.now();
  await inParallel({ total: TASKS, atOnce: AT_ONCE }, async (index) => {
    await setTimeout(Math.max(0, begunAt + (STARTING_MS * index) / TASKS - performance.now()));
    const tenant = tenants[index % tenants.length]!;
    const start = () =>
      callAnywhere(
        tenant.clients,
        (client) => client.start(requestOf(index)),
        () => findings.count("starts that failed and were sent again"),
      );
    const { taskId } = (await start()).task;
    tenant.taskIds.push(taskId);
    follow(tenant, taskId);
    const again = await start();
    findings.expect(again.task.taskId === taskId, `request task-${index} started two tasks`);
  });
}

/** Kills one server after the other until the signal fires, each when the one before is up again. */
async function killServers(replicas: Replicas, findings: Findings, signal: AbortSignal): Promise<void> {
  for (let turn = 0; !signal.aborted; turn++) {
    await setTimeout(KILL_EVERY_MS, undefined, { signal }).catch(() => {});
    const replica = replicas[turn % REPLICAS]!;
    await replica.kill();
    findings.count("servers killed");
    await replica.restart();
  }
}

/** Moves namespaces, each to the shard after its own. */
async function moveSome(on: ShardedDatabases, tenants: readonly Tenant[], findings: Findings): Promise<void> {
  const rows = new Map((await readNamespaces(on.home.db)).map((row) => [row.name, row.shard]));
  for (const [index, { name }] of tenants.slice(0, MOVED).entries()) {
    const to = on.names[(on.names.indexOf(rows.get(name)!) + 1) % on.names.length]!;
    const flags = { databaseUrl: on.homeUrl };
    let isKilled = index % KILLED_EVERY !== 0;
    // A shard or a server may be down: a move is tried again, as an operator would.
    await eventually(
      () =>
        moveNamespace(flags, { name, to }, {
          waitMs: WAIT_MS,
          onNotice({ step }) {
            if (isKilled || step !== "closing") return;
            isKilled = true;
            findings.count("moves killed");
            throw new Error("killed");
          },
        }), // prettier-ignore
      { timeoutMs: 120_000, describe: `${name} is moved to ${to}` },
    );
    findings.count("namespaces moved");
  }
}

/** How long reads of a task take, in ms. */
async function measureReads(client: SpoolClient, taskId: string): Promise<number[]> {
  const samples: number[] = [];
  for (let sample = 0; sample < SAMPLES; sample++) {
    const begunAt = performance.now();
    await client.get({ taskId });
    samples.push(performance.now() - begunAt);
    await setTimeout(SAMPLE_EVERY_MS);
  }
  return samples;
}

/** Before the faults: the p99 of calls to a namespace on one Postgres, with the other one up and down. */
async function measureDown(on: ShardedDatabases, address: string, tenant: Tenant, findings: Findings): Promise<void> {
  using client = connect({ address, namespace: tenant.name });
  const { task } = await client.start({ kind: "echo", params: { count: 1 } });
  await client.waitFinal({ taskId: task.taskId, timeoutMs: WAIT_MS });
  tenant.taskIds.push(task.taskId);
  await measureReads(client, task.taskId);
  const up = quantile(await measureReads(client, task.taskId), 0.99);
  await on.otherServer.kill();
  const down = quantile(await measureReads(client, task.taskId), 0.99);
  await on.otherServer.start();
  const ratio = down / up;
  findings.record("p99 of a read, with all shards up", `${up.toFixed(1)} ms`);
  findings.record("p99 of a read, with the other Postgres down", `${down.toFixed(1)} ms, ratio ${ratio.toFixed(2)}`);
  findings.expect(
    ratio <= RATIO_MAX,
    `a Postgres that is down makes calls to the other ${ratio.toFixed(2)} times as long`,
  );
}

/** Returns the tapes of all shards. A namespace that was moved has left its rows on the old one: they do not count. */
async function readShards(on: ShardedDatabases): Promise<Map<string, StoredTape>> {
  const tapes = new Map<string, StoredTape>();
  for (const shard of on.names) {
    const url = on.urlOf(shard);
    const left = (await on.home.db.selectFrom("namespace_moves").selectAll().execute()).filter(
      ({ from_shard }) => from_shard === shard,
    );
    for (const [taskId, tape] of await readTapes(url)) {
      if (!left.some(({ namespace }) => namespace === tape.namespace)) tapes.set(taskId, tape);
    }
  }
  return tapes;
}

async function check(
  tapes: ReadonlyMap<string, StoredTape>,
  tenants: readonly Tenant[],
  {
    followed,
    followedNamespaces,
    findings,
  }: { followed: Followed[]; followedNamespaces: Map<string, SpoolEvent[]>[]; findings: Findings },
): Promise<void> {
  const known = new Set(tenants.flatMap(({ taskIds }) => taskIds));
  findings.expect(tapes.size === known.size, `there are ${tapes.size} tasks of ${known.size}`);
  for (const tape of tapes.values()) {
    findings.count(`tasks ${tape.status}`);
    findings.count("events", tape.events.length);
    const faults = faultsOf(tape);
    if (faults.length > 0) findings.violation(`task ${tape.taskId} (${tape.kind}):`, faults);
  }
  for (const { taskId, events, reconnects } of followed) {
    findings.count("tapes followed");
    findings.count("times that a follower of a tape came back", reconnects);
    const tape = tapes.get(taskId);
    if (tape === undefined) findings.violation(`task ${taskId} is gone`);
    else for (const fault of followerFaults(events, tape)) findings.violation(`task ${taskId}:`, fault);
  }
  for (const [index, byTask] of followedNamespaces.entries()) {
    for (const taskId of tenants[index]!.taskIds) {
      const events = byTask.get(taskId) ?? [];
      const tape = tapes.get(taskId);
      if (tape === undefined) continue;
      for (const fault of followerFaults(events, tape))
        findings.violation(`${tenants[index]!.name}, task ${taskId}:`, fault);
    }
  }
}

await runScenario(
  "shards",
  async (findings) => {
    await using on = await openShardedDatabases();
    await using replicas = await startReplicas({
      count: REPLICAS,
      databaseUrl: on.homeUrl,
      environment: { SPOOL_LEASE_MS: "3000", SPOOL_DRAIN_MS: "1000", SPOOL_CANCEL_GRACE_MS: "1000" },
      retryMs: 0,
    });
    const transport = openConnection({ address: replicas[0]!.address });
    const names = Array.from({ length: NAMESPACES }, (_, index) => `tenant-${index}`);
    for (const name of names) await setNamespace(transport, { name, limits: null });
    const tenants: Tenant[] = names.map((name) => ({
      name,
      clients: replicas.map(({ address }) => connect({ address, namespace: name, retryMs: 0, heartbeatMs: 2_000 })),
      taskIds: [],
    }));
    const rows = await readNamespaces(on.home.db);
    for (const shard of on.names)
      findings.record(`namespaces on ${shard}`, rows.filter((row) => row.shard === shard).length);
    const onHome = rows.find(({ name, shard }) => shard === HOME_SHARD && name.startsWith("tenant-"))!;
    const measured = tenants.find(({ name }) => name === onHome.name)!;
    await measureDown(on, replicas[0]!.address, measured, findings);

    const over = new AbortController();
    const expected = ({ taskIds }: Tenant) => (isStarted ? taskIds.length : Infinity);
    let isStarted = false;
    const followers: Promise<Followed>[] = [];
    const namespaceFollowers = tenants.map((tenant) =>
      followNamespace(tenant, { expected: () => expected(tenant), findings, signal: over.signal }),
    );
    for (const follower of namespaceFollowers) follower.catch(() => {}); // Thrown where it is awaited.
    const started = new AbortController();
    const killing = killServers(replicas, findings, started.signal);
    const moving = setTimeout(STARTING_MS / 10).then(() => moveSome(on, tenants, findings));
    const crashing = setTimeout(STARTING_MS / 2).then(async () => {
      await on.otherServer.kill();
      findings.count("Postgres servers killed");
      await setTimeout(DOWN_MS);
      await on.otherServer.start();
    });
    await startTasks(tenants, findings, ({ clients }, taskId) => {
      const follower = followAnywhere(clients, taskId);
      follower.catch(() => {});
      followers.push(follower);
    });
    await Promise.all([moving, crashing]);
    started.abort();
    await killing;
    for (const { clients, taskIds } of tenants) {
      await inParallel({ total: taskIds.length, atOnce: AT_ONCE }, async (index) => {
        const taskId = taskIds[index]!;
        await callAnywhere(clients, (client) => client.waitFinal({ taskId, timeoutMs: WAIT_MS }));
      });
    }
    isStarted = true;
    const followed = await Promise.all(followers);
    // A namespace whose tasks have all ended gives no further frame until its heartbeat.
    const late = setTimeout(WAIT_MS).then(() => over.abort());
    const followedNamespaces = await Promise.all(namespaceFollowers);
    void late;
    await check(await readShards(on), tenants, { followed, followedNamespaces, findings });
    for (const { clients } of tenants) for (const client of clients) client.close();
  },
  { msMax: SCENARIO_MS_MAX },
);
