import { connect } from "../../src/client/client.ts";
import { burst } from "../kinds.ts";
import { single } from "../measure.ts";
import { rateOf } from "../rate.ts";
import { openBareTable, pageReader } from "./bare-table.ts";

const EVENTS = 20_000;
const PAGE = 100;
const AT_ONCE = 64;
/** As many as Spool's server has. */
const CONNECTIONS = 16;
const PAGES = 4_000;

export const getEvents = single({
  name: "get-events",
  unit: "pages/s",
  about: `GetEvents of ${PAGE} events anywhere on a finished tape of 20,000, ${AT_ONCE} calls at once`,
  comparisons: [{ with: "postgres-pages" }, { with: "grpc-unary" }],
  async prepare({ spoolAddress }) {
    const client = connect({ address: spoolAddress });
    const { task } = await client.start({ kind: burst.name, params: { events: EVENTS } });
    await client.waitFinal({ taskId: task.taskId, timeoutMs: 60_000 });
    const positions = anywhere();
    const work = async () => {
      const fromSeq = BigInt(positions());
      const { events } = await client.events({ taskId: task.taskId, fromSeq, limit: PAGE });
      if (events.length !== PAGE) throw new Error(`a page of ${events.length} events`);
    };
    await rateOf(work, { times: 500, atOnce: AT_ONCE });
    return { run: () => rateOf(work, { times: PAGES, atOnce: AT_ONCE }), close: () => client.close() };
  },
});

export const postgresPages = single({
  name: "postgres-pages",
  unit: "pages/s",
  about: `ceiling: a bare script reads the same pages, on ${CONNECTIONS} connections`,
  async prepare({ bareDatabaseUrl }) {
    const pool = await openBareTable(bareDatabaseUrl, CONNECTIONS);
    const readPage = await pageReader(pool, { rows: EVENTS, limit: PAGE });
    const positions = anywhere();
    const work = () => readPage(positions());
    await rateOf(work, { times: 500, atOnce: AT_ONCE });
    return { run: () => rateOf(work, { times: PAGES, atOnce: AT_ONCE }), close: () => pool.end() };
  },
});

/** Where pages begin, the same ones in each run: a prime's steps over the tape, so that no two are near. */
function anywhere(): () => number {
  let steps = 0;
  return () => ((++steps * 7_919) % (EVENTS - PAGE)) + 1;
}
