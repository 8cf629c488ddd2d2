import { single } from "../measure.ts";
import type { Measure } from "../measure.ts";
import { rateOf } from "../rate.ts";
import { batchWriter, openBareTable } from "./bare-table.ts";

/** As many statements under way as the journal has flushes. */
const CONNECTIONS = 2;
const TASKS = 16;
const ROWS = 150_000;

export const postgres256 = batches(256);
export const postgres1024 = batches(1_024);

function batches(rows: number): Measure {
  return single({
    name: `postgres-${rows}`,
    unit: "events/s",
    about: `ceiling: a bare script inserts events, ${rows.toLocaleString("en")} a statement, on ${CONNECTIONS} connections`,
    async prepare({ bareDatabaseUrl }) {
      const pool = await openBareTable(bareDatabaseUrl, CONNECTIONS);
      const work = batchWriter(pool, { rows, tasks: TASKS });
      await rateOf(work, { times: 20, atOnce: CONNECTIONS });
      const times = Math.round(ROWS / rows);
      return { run: async () => (await rateOf(work, { times, atOnce: CONNECTIONS })) * rows, close: () => pool.end() };
    },
  });
}
