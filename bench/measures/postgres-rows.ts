import { single } from "../measure.ts";
import type { Measure } from "../measure.ts";
import { settle } from "../databases.ts";
import { pace } from "../pace.ts";
import { rateOf } from "../rate.ts";
import { quantile } from "../statistics.ts";
import { openBareTable, rowWriter } from "./bare-table.ts";

const CONNECTIONS = 16;
const PER_SECOND = 1_000;
const SAMPLES = 3_000;

export const postgresRows = single({
  name: "postgres-rows",
  unit: "events/s",
  about: `ceiling: a bare script inserts events, one a statement, on ${CONNECTIONS} connections`,
  async prepare({ bareDatabaseUrl }) {
    const pool = await openBareTable(bareDatabaseUrl, CONNECTIONS);
    const work = rowWriter(pool);
    await rateOf(work, { times: 1_000, atOnce: CONNECTIONS });
    return { run: () => rateOf(work, { times: 10_000, atOnce: CONNECTIONS }), close: () => pool.end() };
  },
});

export const postgresInsert: Measure = {
  name: "postgres-insert",
  about: "ceiling: a bare script inserts 1,000 events a second, one a statement",
  figures: [
    { name: "postgres-insert-p50", unit: "ms", about: "ceiling: 1,000 events a second, p50 of a statement's time" },
    { name: "postgres-insert-p99", unit: "ms", about: "the same, p99" },
  ],
  async prepare({ bareDatabaseUrl }) {
    const pool = await openBareTable(bareDatabaseUrl, CONNECTIONS);
    const work = rowWriter(pool);
    const timed = async (): Promise<number> => {
      const startedAt = performance.now();
      await work();
      return performance.now() - startedAt;
    };
    await rateOf(work, { times: 500, atOnce: CONNECTIONS });
    return {
      async run() {
        await settle(bareDatabaseUrl);
        const samples: Promise<number>[] = [];
        // Nobody waits for the one before: it is the load that is the same, as in the latency of events.
        for await (const _ of pace({ total: SAMPLES, perSecond: PER_SECOND })) samples.push(timed());
        const times = await Promise.all(samples);
        return { "postgres-insert-p50": quantile(times, 0.5), "postgres-insert-p99": quantile(times, 0.99) };
      },
      close: () => pool.end(),
    };
  },
};
