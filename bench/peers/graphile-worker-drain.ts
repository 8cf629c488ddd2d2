// Empty jobs that wait, done by a worker of this process as serves it best: fetched for a local queue, completed in
// batches. Started by measures/backlog-drain.ts.

import { query } from "../databases.ts";
import { DrainRate } from "./drain-rate.ts";
import { loadPeer } from "./installed.ts";
import { databaseUrl, jobCount, report } from "./program.ts";

/** What is used of it. */
interface GraphileWorker {
  Logger: new (factory: () => () => void) => object;
  runMigrations(options: { connectionString: string; logger: object }): Promise<void>;
  run(options: {
    preset: {
      worker: {
        connectionString: string;
        concurrentJobs: number;
        maxPoolSize: number;
        localQueue: { size: number };
        completeJobBatchDelay: number;
      };
    };
    noHandleSignals: boolean;
    logger: object;
    taskList: Readonly<Record<string, () => Promise<void>>>;
  }): Promise<{ stop(): Promise<void> }>;
}

const CONCURRENCY = 24;
const LOCAL_QUEUE = 500;
const TASK = "empty";

const { Logger, run, runMigrations } = loadPeer<GraphileWorker>("graphile-worker");
const logger = new Logger(() => () => {});

await runMigrations({ connectionString: databaseUrl(), logger });
await query(
  databaseUrl(),
  `select count(*) from graphile_worker.add_jobs(array(
     select row('${TASK}', '{}', null, null, null, null, null, null)::graphile_worker.job_spec
     from generate_series(1, ${jobCount()})))`,
  "vacuum (analyze)",
  "checkpoint",
);
const rate = new DrainRate(jobCount(), async () => {
  const [row] = await query<{ left: number }>(databaseUrl(), "select count(*)::int as left from graphile_worker.jobs");
  return row!.left;
});
const runner = await run({
  preset: {
    worker: {
      connectionString: databaseUrl(),
      concurrentJobs: CONCURRENCY,
      maxPoolSize: CONCURRENCY + 2,
      localQueue: { size: LOCAL_QUEUE },
      completeJobBatchDelay: 0,
    },
  },
  noHandleSignals: true,
  logger,
  taskList: { [TASK]: async () => rate.countDone() },
});
const perSecond = await rate.measure();
await runner.stop();
await report({ perSecond });
