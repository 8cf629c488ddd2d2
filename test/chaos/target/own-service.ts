import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setNamespace } from "../../../src/client/admin/namespace-calls.ts";
import { connect } from "../../../src/client/client.ts";
import { openConnection } from "../../../src/client/transport/connection.ts";
import { CRASHES_MAX } from "../../../src/domain/limits.ts";
import { HOME_SHARD } from "../../../src/domain/shard.ts";
import { CuttingRelay } from "../../fault/support/cutting-relay.ts";
import type { SeededRandom } from "../../fault/support/random.ts";
import { startReplicas } from "../../fault/support/replicas.ts";
import { eventually } from "../../support/eventually.ts";
import { openShards } from "../../support/sharded-service.ts";
import { BRIEF, BRIEF_RETENTION_MS } from "../workload/planned-start.ts";
import { startDatabases } from "./databases.ts";
import type { Guard } from "./guard.ts";
import { startWorkers } from "./workers.ts";
import type { OwnServer, Target, TargetNamespace } from "./target.ts";

const ROOT = join(import.meta.dirname, "..", "..", "..");
const KINDS = join(ROOT, "test", "chaos", "workload", "server-kinds.ts");
const SERVERS = 3;
const NAMESPACES = 4;
const SERVED_MS_MAX = 60_000;
/** The first time, on a busy machine. */
const FIRST_SERVED_MS_MAX = 300_000;
const ANSWER_MS_MAX = 5_000;
const FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/** Short times, so that a run of minutes sees many leases expire. */
const SETTINGS = {
  SPOOL_LEASE_MS: "3000",
  SPOOL_DRAIN_MS: "1000",
  SPOOL_CANCEL_GRACE_MS: "1000",
  // Processes are killed at random: several in a row may have had the same task, which is not to blame.
  SPOOL_CRASHES_MAX: `${CRASHES_MAX}`,
  SPOOL_RETENTION_BY_KIND: `${BRIEF}=${BRIEF_RETENTION_MS / 1_000}s`,
  SPOOL_PACK_AFTER: "1s",
  SPOOL_LOG_LEVEL: "warn",
};

/**
 * Starts the service that a run attacks: two Postgres servers with two shards each, three servers, and three workers.
 *
 * @param folder for the files of the run, which the guard removes
 * @param log receives what the processes print
 */
export async function startOwnService(
  folder: string,
  { random, guard, log }: { random: SeededRandom; guard: Guard; log: (source: string, text: string) => void },
): Promise<Target> {
  await using opened = new AsyncDisposableStack();
  const gaps: string[] = [];
  const databases = opened.use(await startDatabases({ guard, gaps }));
  const shards = new Map(
    databases.all.flatMap(({ url }, index) => [
      [index === 0 ? HOME_SHARD : `${index}-one`, `${url}?schema=one`] as const,
      [`${index}-two`, `${url}?schema=two`] as const,
    ]),
  );
  const homeUrl = shards.get(HOME_SHARD)!;
  const home = await openShards(shards);
  opened.defer(() => home.close());

  const notes = join(folder, "notes");
  mkdirSync(notes);
  const clockFile = join(folder, "clock");
  const hasClock = existsSync(FAKETIME);
  if (!hasClock) gaps.push("clock-step: there is no libfaketime on this machine");
  writeFileSync(clockFile, "+0");
  const clockSettings = {
    LD_PRELOAD: FAKETIME,
    FAKETIME_TIMESTAMP_FILE: clockFile,
    FAKETIME_CACHE_DURATION: "1",
    // Timers follow the monotonic clock, which no step of the time changes.
    FAKETIME_DONT_FAKE_MONOTONIC: "1",
  };
  const starting = Array.from({ length: SERVERS }, async (_, index): Promise<OwnServer> => {
    const name = `server-${index + 1}`;
    const isClocked = hasClock && index === SERVERS - 1;
    const [replica] = opened.use(
      await startReplicas({
        count: 1,
        databaseUrl: homeUrl,
        kinds: [KINDS],
        environment: { ...SETTINGS, CHAOS_FOLDER: notes, CHAOS_NAME: name, ...(isClocked && clockSettings) },
        onLog: (chunk) => log(name, chunk.toString()),
      }),
    );
    return { name, replica: replica! };
  });
  const servers = await Promise.all(starting);
  const links = new Map<string, CuttingRelay>();
  const relay = async (addresses: readonly string[]) =>
    opened.use(await CuttingRelay.open(addresses, () => random.next()));
  for (const { name, replica } of servers) links.set(name, await relay([replica.address]));
  const workerLink = await relay(servers.map(({ replica }) => replica.address));

  const namespaces = Array.from({ length: NAMESPACES }, (_, index): TargetNamespace => {
    const name = `team-${index}`;
    return { name, called: name, kinds: { hasWorker: index === 0, hasPython: index === 1, isEchoOnly: false } };
  });
  const admin = openConnection({ address: servers[0]!.replica.address });
  opened.defer(() => admin.close());
  for (const { name } of namespaces) await setNamespace(admin, { name, limits: null });
  await eventually(() => Promise.all(servers.map((server) => checkServed([server], namespaces))), {
    timeoutMs: FIRST_SERVED_MS_MAX,
    describe: "every server serves every namespace",
  });
  const workers = opened.use(
    startWorkers({
      address: workerLink.address,
      folder: notes,
      namespaces: namespaces.map(({ name }) => name),
      gaps,
      log,
    }),
  );
  const rest = opened.move();
  return {
    links,
    namespaces,
    gaps,
    service: {
      servers,
      workers: workers.members,
      workerLink,
      databases: databases.all,
      home,
      homeUrl,
      shards: [...shards.keys()],
      admin,
      untilServed: () =>
        eventually(() => checkServed(servers, namespaces), { timeoutMs: SERVED_MS_MAX }).catch(() => {}),
      clock: hasClock
        ? {
            server: servers.at(-1)!.name,
            step: (ms) => writeFileSync(clockFile, `${ms < 0 ? "-" : "+"}${Math.abs(ms) / 1_000}`),
          }
        : null,
      guard,
    },
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
}

/** Checks that each namespace is served by one of the servers. */
async function checkServed(servers: readonly OwnServer[], namespaces: readonly TargetNamespace[]): Promise<void> {
  const check = async ({ replica }: OwnServer, namespace: string) => {
    using client = connect({ address: replica.address, namespace, retryMs: 0 });
    await client.listPage({ pageSize: 1 }, { signal: AbortSignal.timeout(ANSWER_MS_MAX) });
  };
  await Promise.all(namespaces.map(({ name }) => Promise.any(servers.map((server) => check(server, name)))));
}
