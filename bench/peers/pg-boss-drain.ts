// Empty jobs that wait, done by workers of this process in batches, one after the other while there are more. Started by
// measures/backlog-drain.ts.

import { query } from "../databases.ts";
import { DrainRate } from "./drain-rate.ts";
import { loadPeer } from "./installed.ts";
import { databaseUrl, jobCount, report } from "./program.ts";

/** What is used of it. */
interface Boss {
  on(event: "error", listener: (error: unknown) => void): void;
  start(): Promise<unknown>;
  createQueue(name: string): Promise<void>;
  insert(name: string, jobs: readonly object[]): Promise<unknown>;
  work(
    name: string,
    options: {
      batchSize: number;
      localConcurrency: number;
      pollingIntervalSeconds: number;
      burstWhenBatchFull: boolean;
    },
    handler: (jobs: readonly object[]) => Promise<void>,
  ): Promise<string>;
}

interface PgBossModule {
  PgBoss: new (options: { connectionString: string; max: number }) => Boss;
}

const QUEUE = "empty";
const CONNECTIONS = 16;
const INSERTED_AT_ONCE = 10_000;

const { PgBoss } = loadPeer<PgBossModule>("pg-boss");

const boss = new PgBoss({ connectionString: databaseUrl(), max: CONNECTIONS });
boss.on("error", (error) => {
  throw error;
});
await boss.start();
await boss.createQueue(QUEUE);
for (let left = jobCount(); left > 0; left -= INSERTED_AT_ONCE) {
  await boss.insert(
    QUEUE,
    Array.from({ length: Math.min(left, INSERTED_AT_ONCE) }, () => ({})),
  );
}
await query(databaseUrl(), "vacuum (analyze)", "checkpoint");
const rate = new DrainRate(jobCount(), async () => {
  const [row] = await query<{ left: number }>(
    databaseUrl(),
    `select count(*)::int as left from pgboss.job where name = '${QUEUE}' and state < 'completed'`,
  );
  return row!.left;
});
await boss.work(
  QUEUE,
  { batchSize: 100, localConcurrency: 4, pollingIntervalSeconds: 0.5, burstWhenBatchFull: true },
  async (jobs) => jobs.forEach(rate.countDone),
);
await report({ perSecond: await rate.measure() });
