// Empty jobs, added while workers of this process fetch them as serves it best: in batches, one after the other while
// there are more, and without NOTIFY, which serialises commits. No events, and nobody who follows. Started by
// measures/peers.ts.

import { JobRate } from "./job-rate.ts";
import { loadPeer } from "./installed.ts";
import { databaseUrl, report } from "./program.ts";

/** What is used of it. */
interface Boss {
  on(event: "error", listener: (error: unknown) => void): void;
  start(): Promise<unknown>;
  createQueue(name: string): Promise<void>;
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
  send(name: string, data: object): Promise<unknown>;
}

interface PgBossModule {
  PgBoss: new (options: { connectionString: string; max: number }) => Boss;
}

const QUEUE = "empty";
/** As many as Spool's server has. */
const CONNECTIONS = 16;

const { PgBoss } = loadPeer<PgBossModule>("pg-boss");

const boss = new PgBoss({ connectionString: databaseUrl(), max: CONNECTIONS });
boss.on("error", (error) => {
  throw error;
});
const rate = new JobRate(() => boss.send(QUEUE, {}));
await boss.start();
await boss.createQueue(QUEUE);
await boss.work(
  QUEUE,
  { batchSize: 100, localConcurrency: 4, pollingIntervalSeconds: 0.5, burstWhenBatchFull: true },
  async (jobs) => jobs.forEach(rate.countDone),
);
await rate.measure(500);
await report({ perSecond: await rate.measure(4_000) });
