import { setTimeout } from "node:timers/promises";
import { connect } from "../../src/client/client.ts";
import { query } from "../databases.ts";
import { burst, texts } from "../kinds.ts";
import type { Measure } from "../measure.ts";
import { perSecond, rateOf } from "../rate.ts";
import { countTape } from "./tapes.ts";

const EVENTS = 200_000;
const PAGE = 100;
const PAGES = 4_000;
const AT_ONCE = 64;
const PACKED_MS_MAX = 120_000;
/** The events of each type whose storage is measured. */
const STORED = 100_000;

const PACK_SOON = { settings: { SPOOL_PACK_AFTER: "0" } };

export const packedTapes: Measure = {
  name: "packed-tapes",
  about: `a packed tape of ${EVENTS} events, read whole and in pages of ${PAGE}`,
  figures: [
    {
      name: "packed-replay",
      unit: "events/s",
      about: "one client reads the packed tape of a task that emitted 200,000 events",
      comparisons: [{ with: "grpc-stream", bar: { atLeast: 0.6 } }, { with: "replay" }],
    },
    {
      name: "packed-get-events",
      unit: "pages/s",
      about: `GetEvents of ${PAGE} events anywhere on a packed tape, ${AT_ONCE} calls at once`,
      comparisons: [{ with: "get-events" }],
    },
  ],
  async prepare({ startSpool }, size) {
    await using preparing = new AsyncDisposableStack();
    const { address, databaseUrl } = preparing.use(await startSpool(PACK_SOON));
    const client = preparing.use(connect({ address }));
    const events = size(EVENTS);
    const { task } = await client.start({ kind: burst.name, params: { events } });
    await client.waitFinal({ taskId: task.taskId, timeoutMs: 60_000 });
    await untilPacked(databaseUrl);
    let turn = 0;
    const readPage = async () => {
      const fromSeq = BigInt(((++turn * 7_919) % (events - PAGE)) + 1);
      const page = await client.events({ taskId: task.taskId, fromSeq, limit: PAGE });
      if (page.events.length !== PAGE) throw new Error(`a page of ${page.events.length} events`);
    };
    const prepared = preparing.move();
    return {
      async run() {
        const startedAt = performance.now();
        await countTape(client.follow({ taskId: task.taskId }), events);
        const replay = perSecond(events, startedAt);
        const pages = await rateOf(readPage, { times: size(PAGES), atOnce: AT_ONCE });
        return { "packed-replay": replay, "packed-get-events": pages };
      },
      close: () => prepared.disposeAsync(),
    };
  },
};

/** The types of events whose storage is measured, and a word for each. */
const TYPES = { progress: "progress", log: "log lines", token: "tokens of a text" } as const;

export const storage: Measure = {
  name: "storage",
  about: `what ${STORED} events of a type take on disk, with indexes, as rows and packed`,
  roundsMax: 1,
  figures: Object.entries(TYPES).flatMap(([type, words]) => [
    { name: `${type}-row`, unit: "B", about: `an event on disk, as a row: ${words}` },
    {
      name: `${type}-packed`,
      unit: "B",
      about: `an event on disk, packed: ${words}`,
      comparisons: [{ with: `${type}-row`, bar: { atMost: 0.2 } }],
    },
  ]),
  async prepare({ startSpool }, size) {
    const events = size(STORED);
    return {
      async run() {
        const bytes: Record<string, number> = {};
        for (const type of Object.keys(TYPES)) {
          await using stack = new AsyncDisposableStack();
          const { address, databaseUrl } = stack.use(await startSpool(PACK_SOON));
          const client = stack.use(connect({ address }));
          const run = await client.run({ kind: texts.name, params: { events, type } });
          await countTape(run.events, events);
          // Deleted rows still take their space here, so the table has its full size whether or not it is packed.
          bytes[`${type}-row`] = (await sizeOf(databaseUrl, "task_events")) / events;
          await untilPacked(databaseUrl);
          bytes[`${type}-packed`] = (await sizeOf(databaseUrl, "packed_events")) / events;
        }
        return bytes;
      },
      close() {},
    };
  },
};

async function sizeOf(databaseUrl: string, table: string): Promise<number> {
  const [row] = await query<{ bytes: string }>(databaseUrl, `select pg_total_relation_size('${table}') as bytes`);
  return Number(row!.bytes);
}

/** Waits until every long tape is packed, and the rows of its events are vacuumed. */
async function untilPacked(databaseUrl: string): Promise<void> {
  const left = "select from tasks where last_seq > 100 and (finished_at is null or packed_seq < last_seq - 1) limit 1";
  for (const until = performance.now() + PACKED_MS_MAX; (await query(databaseUrl, left)).length > 0;) {
    if (performance.now() > until) throw new Error(`a tape was not packed within ${PACKED_MS_MAX} ms`);
    await setTimeout(200);
  }
  await query(databaseUrl, "vacuum task_events, packed_events, tasks", "checkpoint");
}
