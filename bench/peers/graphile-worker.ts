// Empty jobs, added while a worker of this process does them: no events, and nobody who follows. Started by
// measures/peers.ts.

import { JobRate } from "./job-rate.ts";
import { loadPeer } from "./installed.ts";
import { databaseUrl, report } from "./program.ts";

/** What is used of it. */
interface GraphileWorker {
  Logger: new (factory: () => () => void) => object;
  run(options: {
    preset: {
      worker: { connectionString: string; concurrentJobs: number; maxPoolSize: number; localQueue: { size: number } };
    };
    noHandleSignals: boolean;
    logger: object;
    taskList: Readonly<Record<string, () => Promise<void>>>;
  }): Promise<{ addJob(task: string, payload: object): Promise<unknown>; stop(): Promise<void> }>;
}

const CONCURRENCY = 24;
/** How many jobs it fetches at once, which serves it better than one by one. */
const BATCH = 100;
const TASK = "empty";

const { Logger, run } = loadPeer<GraphileWorker>("graphile-worker");

const rate = new JobRate(() => runner.addJob(TASK, {}));
const runner = await run({
  preset: {
    worker: {
      connectionString: databaseUrl(),
      concurrentJobs: CONCURRENCY,
      maxPoolSize: CONCURRENCY + 2,
      localQueue: { size: BATCH },
    },
  },
  noHandleSignals: true,
  logger: new Logger(() => () => {}),
  taskList: { [TASK]: async () => rate.countDone() },
});
await rate.measure(500);
const perSecond = await rate.measure(4_000);
await runner.stop();
await report({ perSecond });
