import { cpus } from "node:os";
import { timeOf } from "../cpu/meter.ts";
import { query } from "../databases.ts";
import { startLoad } from "../load/load-child.ts";
import type { LoadChild } from "../load/load-child.ts";
import type { LoadDone } from "../load/load.ts";
import { WORKS } from "../load/works.ts";
import type { Measure, Size } from "../measure.ts";
import { limitTo, lowerPriority, pinTo } from "../processors.ts";
import type { Service } from "../service.ts";
import type { Servers } from "../servers.ts";

const SHARDS = [1, 2] as const;
type Shards = (typeof SHARDS)[number];

const SERVERS = 2;
const CALLERS_PER_SHARD = WORKS["short-task"].atOnce;
const TURNS_PER_SHARD = 6_000;
/**
 * The share of its core that a database may use. Servers and clients need more of the two cores than databases do, and
 * would be the limit. With this share, the databases are, as they are where servers and clients have cores of their own.
 */
const SHARE = 0.15;
const WARM_TURNS_PER_SHARD = 2_000;
/** Two shards have nearly twice the capacity of one. */
const BAR = { atLeast: 1.8 };
/** It would begin when it wants, in the turn of the one or of the other. Here, tables are cleaned between the turns. */
const POSTGRES_SETTINGS = { autovacuum: "off" };

/**
 * A server that waits long for a core must not lose its tasks. With fewer slots than callers, a part of the tasks would
 * wait and be claimed, and that part differs between one shard and two.
 */
const SETTINGS = { SPOOL_LEASE_MS: "60000", SPOOL_SLOTS: "512" };

const CAPACITY =
  "Sum over the databases of the tasks that ended there, divided by the CPU seconds of all processes of its Postgres: " +
  "what each could do with a core to itself";
const BOTH = `64 callers for each shard, and ${SHARE * 100} % of a core for each Postgres`;

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
      about: `one shard on one core: ${BOTH}. ${CAPACITY}`,
    },
    {
      name: "shards-2-capacity",
      unit: "tasks/CPU s",
      about: `two shards on two cores: ${BOTH}. ${CAPACITY}`,
      comparisons: [{ with: "shards-1-capacity", bar: BAR }],
    },
    { name: "shards-1-rate", unit: "tasks/s", about: "one shard: what was done, by the clock" },
    {
      name: "shards-2-rate",
      unit: "tasks/s",
      about: "two shards: what was done, by the clock",
      comparisons: [{ with: "shards-1-rate" }],
    },
    { name: "shards-1-busy", unit: "%", about: "one shard: the share of its core that Postgres used" },
    { name: "shards-2-busy", unit: "%", about: "two shards: the share of their two cores that both Postgres used" },
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
  const limits = started.use(new DisposableStack()); // Disposed after the service, whose processes are in them.
  const service = started.use(
    await startService(
      { shards: count, postgres: count, servers: SERVERS },
      { postgresSettings: POSTGRES_SETTINGS, settings: SETTINGS },
    ),
  );
  for (const [core, { pid }] of service.databases.entries()) {
    pinTo(core, pid);
    limits.use(limitTo(SHARE, pid));
  }
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

/** Loads all shards at once, until there are so many turns for each shard. */
function loadAll({ count, loads }: Pinned, turnsPerShard: number): Promise<LoadDone[]> {
  const share = (perShard: number) => Math.ceil((perShard * count) / loads.length);
  const order = { until: { turns: share(turnsPerShard) }, atOnce: share(CALLERS_PER_SHARD) };
  return Promise.all(loads.map((load) => load.run({ work: "short-task", ...order })));
}

async function take(pinned: Pinned, turnsPerShard: number) {
  const { databases, namespaces } = pinned.service;
  for (const { spoolUrl } of databases) await query(spoolUrl, "vacuum (analyze)", "checkpoint");
  const { result: done, seconds, cpuSeconds } = await cpuDuring(databases, () => loadAll(pinned, turnsPerShard));
  const tasks = databases.map((_, index) =>
    namespaces
      .map(({ postgres }, place) =>
        postgres === index ? done.reduce((sum, { counts }) => sum + counts[place]!, 0) : 0,
      )
      .reduce((sum, count) => sum + count, 0),
  );
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  return {
    capacity: sum(tasks.map((count, index) => count / cpuSeconds[index]!)),
    rate: sum(tasks) / seconds,
    busy: (sum(cpuSeconds) / seconds / databases.length) * 100,
  };
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
