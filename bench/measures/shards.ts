import { cpus } from "node:os";
import { timeOf } from "../cpu/meter.ts";
import { query } from "../databases.ts";
import { startLoad } from "../load/load-child.ts";
import type { LoadChild } from "../load/load-child.ts";
import type { LoadDone } from "../load/load.ts";
import { WORKS } from "../load/works.ts";
import type { Measure, Size } from "../measure.ts";
import { lowerPriority, pinTo } from "../processors.ts";
import type { Service } from "../service.ts";
import type { Servers } from "../servers.ts";

const SHARDS = [1, 2] as const;
type Shards = (typeof SHARDS)[number];

const SERVERS = 2;
const CALLERS_PER_SHARD = WORKS["short-task"].atOnce;
const TURNS_PER_SHARD = 6_000;
/** Below what two shards can do on two cores beside servers and clients, so that each shard gets as much as a single one. */
const RATE_PER_SHARD = 400;
const WARM_TURNS_PER_SHARD = 2_000;
/** Two shards have nearly twice the capacity of one. */
const BAR = { atLeast: 1.8 };
/** It would begin when it wants, in the turn of the one or of the other. Here, tables are cleaned between the turns. */
const POSTGRES_SETTINGS = { autovacuum: "off" };

/** A server that waits long for a core must not lose its tasks. */
const SETTINGS = { SPOOL_LEASE_MS: "60000" };

const CAPACITY =
  `${RATE_PER_SHARD} tasks a second for each shard. Sum over the databases of the tasks that ended there, divided by ` +
  "the CPU seconds of all processes of its Postgres: what each could do with its core to itself";
const FULL = "as many tasks as can be, by 64 callers for each shard: what was done, by the clock";

export const shards: Measure = {
  name: "shards",
  about:
    "short tasks on one shard, on a Postgres that is pinned to a core, and on two shards, each on a Postgres that is " +
    "pinned to a core of its own, in turn: how much more two can do",
  only: "heavy",
  figures: [
    {
      name: "shards-1-capacity",
      unit: "tasks/CPU s",
      about: `one shard on one core. ${CAPACITY}`,
    },
    {
      name: "shards-2-capacity",
      unit: "tasks/CPU s",
      about: `two shards on two cores. ${CAPACITY}`,
      comparisons: [{ with: "shards-1-capacity", bar: BAR }],
    },
    { name: "shards-1-busy", unit: "%", about: "one shard, the same load: the share of its core that Postgres used" },
    { name: "shards-2-busy", unit: "%", about: "two shards, the same load: the share of two cores that they used" },
    { name: "shards-1-rate", unit: "tasks/s", about: `one shard, ${FULL}` },
    {
      name: "shards-2-rate",
      unit: "tasks/s",
      about:
        `two shards, ${FULL}. It can only reach twice the rate on a machine that has cores for servers and clients ` +
        "besides the two of the databases",
      comparisons: [{ with: "shards-1-rate" }],
    },
  ],
  async prepare({ startService }, size) {
    if (cpus().length < 2) throw new Error("shards needs two cores, one for each Postgres");
    await using preparing = new AsyncDisposableStack();
    const pairs: Pinned[] = [];
    for (const count of SHARDS) pairs.push(await startPinned(preparing, startService, { count, size }));
    const prepared = preparing.move();
    let round = 0;
    return {
      async run() {
        const outcome: Record<string, number> = {};
        // Each is first as often as the other.
        for (const pinned of round++ % 2 === 0 ? pairs : pairs.toReversed()) {
          const taken = await take(pinned, size(TURNS_PER_SHARD));
          for (const [name, value] of Object.entries(taken)) outcome[`shards-${pinned.count}-${name}`] = value;
        }
        return outcome;
      },
      close: () => prepared.disposeAsync(),
    };
  },
};

/** A service whose databases have a core each. */
interface Pinned {
  count: Shards;
  service: Service;
  loads: readonly LoadChild[];
}

async function startPinned(
  started: AsyncDisposableStack,
  startService: Servers["startService"],
  { count, size }: { count: Shards; size: Size },
): Promise<Pinned> {
  const service = started.use(
    await startService(
      { shards: count, postgres: count, servers: SERVERS },
      { postgresSettings: POSTGRES_SETTINGS, settings: SETTINGS },
    ),
  );
  for (const [core, { pid }] of service.databases.entries()) pinTo(core, pid);
  // One client for each server, of all namespaces there: in the order of the namespaces.
  const loads = service.servers.map(({ address }) => {
    const targets = service.namespaces.map(({ name }) => ({ address, namespace: name }));
    return started.use(startLoad({ targets }));
  });
  const pinned = { count, service, loads };
  await loadAll(pinned, size(WARM_TURNS_PER_SHARD));
  for (const { pid } of [...service.servers, ...loads]) lowerPriority(pid);
  return pinned;
}

/** Loads all shards at once, until there are so many turns for each shard. @param rate a second, for each shard */
function loadAll({ count, loads }: Pinned, turnsPerShard: number, rate?: number): Promise<LoadDone[]> {
  const share = (perShard: number) => Math.ceil((perShard * count) / loads.length);
  const order = { until: { turns: share(turnsPerShard) }, atOnce: share(CALLERS_PER_SHARD) };
  const paced = rate === undefined ? {} : { perSecond: (rate * count) / loads.length };
  return Promise.all(loads.map((load) => load.run({ work: "short-task", ...order, ...paced })));
}

async function take(pinned: Pinned, turnsPerShard: number) {
  const even = await loadMeasured(pinned, turnsPerShard, RATE_PER_SHARD);
  const full = await loadMeasured(pinned, turnsPerShard);
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  return {
    capacity: sum(even.tasks.map((count, index) => count / even.cpuSeconds[index]!)),
    busy: (sum(even.cpuSeconds) / even.seconds / even.tasks.length) * 100,
    rate: sum(full.tasks) / full.seconds,
  };
}

/** Loads all shards. @returns the tasks and the CPU seconds of each database */
async function loadMeasured(pinned: Pinned, turnsPerShard: number, rate?: number) {
  const { databases, namespaces } = pinned.service;
  for (const { spoolUrl } of databases) await query(spoolUrl, "vacuum (analyze)", "checkpoint");
  const { result: done, seconds, cpuSeconds } = await cpuDuring(databases, () => loadAll(pinned, turnsPerShard, rate));
  const tasks = databases.map((_, index) =>
    namespaces
      .map(({ postgres }, place) =>
        postgres === index ? done.reduce((sum, { counts }) => sum + counts[place]!, 0) : 0,
      )
      .reduce((sum, count) => sum + count, 0),
  );
  return { tasks, seconds, cpuSeconds };
}

/** Does work, and measures the CPU time of each database meanwhile. */
async function cpuDuring<Result>(databases: Service["databases"], work: () => Promise<Result>) {
  const before = databases.map((database) => timeOf([database]));
  const startedAt = performance.now();
  const result = await work();
  const seconds = (performance.now() - startedAt) / 1_000;
  return {
    result,
    seconds,
    cpuSeconds: databases.map((database, index) => (timeOf([database]) - before[index]!) / 1e6),
  };
}
