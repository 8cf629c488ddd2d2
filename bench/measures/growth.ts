import { statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { connect } from "../../src/client/client.ts";
import type { SpoolClient } from "../../src/client/client.ts";
import { burst } from "../kinds.ts";
import type { Measure, Size } from "../measure.ts";
import { rateOf } from "../rate.ts";
import type { Servers } from "../servers.ts";
import { filledTaskId, fillTasks } from "./filled-tasks.ts";
import { countTape } from "./tapes.ts";

const FEW = 1_000_000;
const MANY = 20_000_000;
const TAPE = 1_000;
const APPENDERS = 16;
const APPENDED = 5_000;
const PAGE = 100;
const PAGES = 2_000;
const PAGES_AT_ONCE = 16;

/** What the rows, their index and the log take, with room to spare. */
const DISK_GIB_PER_MILLION = 0.4;

export const growth: Measure = {
  name: "growth",
  about:
    "an append and a page with 1,000,000 and 20,000,000 events stored, at most 3 times: minutes, and 8 GiB of disk",
  only: "heavy",
  roundsMax: 3,
  figures: [
    { name: "append-1m", unit: "µs", about: "an event appended and followed, 16 tasks at once, with 1,000,000 stored" },
    {
      name: "append-20m",
      unit: "µs",
      about: "the same with 20,000,000 stored",
      comparisons: [{ with: "append-1m", bar: { atMost: 1.25 } }],
    },
    { name: "page-1m", unit: "µs", about: "GetEvents of 100 events anywhere, 16 at once, with 1,000,000 stored" },
    {
      name: "page-20m",
      unit: "µs",
      about: "the same with 20,000,000 stored",
      comparisons: [{ with: "page-1m", bar: { atMost: 1.25 } }],
    },
  ],
  async prepare({ startSpool }, size) {
    await assertDisk(size);
    await using preparing = new AsyncDisposableStack();
    const few = preparing.use(await openFilled(startSpool, size(FEW)));
    const many = preparing.use(await openFilled(startSpool, size(MANY)));
    for (const filled of [few, many]) await costs(filled);
    const prepared = preparing.move();
    return {
      async run() {
        const [small, large] = [await costs(few), await costs(many)];
        return {
          "append-1m": small.append,
          "append-20m": large.append,
          "page-1m": small.page,
          "page-20m": large.page,
        };
      },
      close: () => prepared.disposeAsync(),
    };
  },
};

interface Filled extends AsyncDisposable {
  client: SpoolClient;
  tasks: number;
}

async function assertDisk(size: Size): Promise<void> {
  const { bavail, bsize } = await statfs(tmpdir());
  const needed = (size(FEW + MANY) / 1_000_000) * DISK_GIB_PER_MILLION;
  const free = (bavail * bsize) / 1024 ** 3;
  if (free < needed) throw new Error(`growth needs ${Math.ceil(needed)} GiB of disk in ${tmpdir()}; ${free} are free`);
}

async function openFilled(startSpool: Servers["startSpool"], events: number): Promise<Filled> {
  await using opening = new AsyncDisposableStack();
  const { address, databaseUrl } = opening.use(await startSpool({ settings: { SPOOL_PACK_AFTER: "never" } })); // Measures rows.
  const client = opening.use(connect({ address }));
  const tasks = Math.ceil(events / TAPE);
  await fillTasks(databaseUrl, { tasks, eventsEach: TAPE });
  const opened = opening.move();
  return { client, tasks, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

/** In µs: of one event, and of one page. */
async function costs({ client, tasks }: Filled): Promise<{ append: number; page: number }> {
  const append = async () => {
    const run = await client.run({ kind: burst.name, params: { events: APPENDED } });
    await countTape(run.events, APPENDED);
  };
  let turn = 0;
  const readPage = async () => {
    const place = ++turn * 7_919; // A prime's steps over all the tapes.
    const page = {
      taskId: filledTaskId((place % tasks) + 1),
      fromSeq: BigInt((place % (TAPE - PAGE)) + 1),
      limit: PAGE,
    };
    const { events } = await client.events(page);
    if (events.length !== PAGE) throw new Error(`a page of ${events.length} events`);
  };
  const appends = await rateOf(append, { times: APPENDERS, atOnce: APPENDERS });
  const pages = await rateOf(readPage, { times: PAGES, atOnce: PAGES_AT_ONCE });
  return { append: 1e6 / (appends * APPENDED), page: 1e6 / pages };
}
