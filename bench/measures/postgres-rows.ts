import type { Measure } from "../measure.ts";
import { rateOf } from "../rate.ts";
import { quantile } from "../statistics.ts";
import { openBareTable, rowWriter } from "./bare-table.ts";

const CONNECTIONS = 16;
const SAMPLES = 2_000;

export const postgresRows: Measure = {
  name: "postgres-rows",
  unit: "events/s",
  about: `ceiling: a bare script inserts events, one a statement, on ${CONNECTIONS} connections`,
  async prepare({ bareDatabaseUrl }) {
    const pool = await openBareTable(bareDatabaseUrl, CONNECTIONS);
    const work = rowWriter(pool);
    await rateOf(work, { times: 1_000, atOnce: CONNECTIONS });
    return { run: () => rateOf(work, { times: 10_000, atOnce: CONNECTIONS }), close: () => pool.end() };
  },
};

export const postgresInsertP50: Measure = {
  name: "postgres-insert-p50",
  unit: "ms",
  about: "ceiling: a bare script inserts one event after the other, p50 of a statement's time",
  async prepare({ bareDatabaseUrl }) {
    const pool = await openBareTable(bareDatabaseUrl, 1);
    const work = rowWriter(pool);
    const sample = async (): Promise<number> => {
      const startedAt = performance.now();
      await work();
      return performance.now() - startedAt;
    };
    const run = async () => {
      const samples: number[] = [];
      while (samples.length < SAMPLES) samples.push(await sample());
      return quantile(samples, 0.5);
    };
    await rateOf(work, { times: 500, atOnce: 1 });
    return { run, close: () => pool.end() };
  },
};
