import { single } from "../measure.ts";
import { perSecond } from "../rate.ts";
import { openBareTable, pageReader } from "./bare-table.ts";

const ROWS = 200_000;
const PAGE = 1_000;

export const postgresRead = single({
  name: "postgres-read",
  unit: "events/s",
  about: "ceiling: a bare script reads a tape of 200,000 events, page after page of 1,000",
  async prepare({ bareDatabaseUrl }) {
    const pool = await openBareTable(bareDatabaseUrl, 1);
    const readPage = await pageReader(pool, { rows: ROWS, limit: PAGE });
    return {
      async run() {
        const startedAt = performance.now();
        let read = 0;
        for (let got = PAGE; got === PAGE; read += got) got = await readPage(read + 1);
        if (read !== ROWS) throw new Error(`${read} of ${ROWS} rows came`);
        return perSecond(ROWS, startedAt);
      },
      close: () => pool.end(),
    };
  },
});
