import { statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { setTimeout } from "node:timers/promises";
import { connect } from "../../src/client/client.ts";
import type { SpoolClient } from "../../src/client/client.ts";
import { query, settle } from "../databases.ts";
import { burst } from "../kinds.ts";
import type { Figure, Measure } from "../measure.ts";
import { perSecond, rateOf } from "../rate.ts";
import type { Servers } from "../servers.ts";
import { median, quantile } from "../statistics.ts";
import { bytesOf, describeSizes, inMiB, readTableSizes } from "../table-sizes.ts";
import { addExpiredTasks, readUnremoved } from "./expired-tasks.ts";
import { countTape } from "./tapes.ts";

const EVENTS = 1_000_000;
/** What an event takes in the table, its indexes and the log, with room to spare. */
const DISK_BYTES_PER_EVENT = 600;
/** How often servers with and without removal take turns, at the most: removal may be done before. */
const TURNS = 5;
/** Of an ended task. All the stored ones have ended long before, and none of the measured ones expires meanwhile. */
const RETENTION = "30m";
const SHORT = { events: 10, times: 2_000, atOnce: 64 };
const LONG = { events: 10_000, tasks: 16 };
const STARTS = { times: 2_000, atOnce: 16 };
const POLL_MS = 500;
const DAY_MS = 24 * 60 * 60 * 1_000;

const KEPT = "kept";
const REMOVING = "removing";
type Turn = typeof KEPT | typeof REMOVING;

/** What a server did in one turn. */
interface Taken {
  events: number;
  shortTasks: number;
  startP50: number;
  startP99: number;
}

export const expiry: Measure = {
  name: "expiry",
  about:
    "the light measures on a server that removes millions of expired events, and on one that keeps them; see --events",
  only: "heavy",
  roundsMax: 1,
  figures: [
    ...rate("events", "events/s", "16 tasks at once, each followed from its start to its end", 0.9),
    ...rate("short-tasks", "tasks/s", "start a task that emits 10 events and follow it to its end, 64 at once", 0.9),
    ...time("start-p50", "StartTask, 16 calls at once, p50"),
    ...time("start-p99", "StartTask, 16 calls at once, p99", 2),
    {
      name: "expiry-turns",
      unit: "turns",
      about: "turns in which the removal lasted to the end: without one, there were too few events",
      bar: { atLeast: 1 },
    },
    { name: "expiry-seconds", unit: "s", about: "how long servers removed the expired tasks, in all" },
    { name: "expiry-loaded-size", unit: "MiB", about: "all tables and indexes before the removal" },
    { name: "expiry-end-size", unit: "MiB", about: "the same at the end of the removal, vacuumed by autovacuum alone" },
    { name: "expiry-vacuumed-size", unit: "MiB", about: "the same after a vacuum: new rows use the free space in it" },
    { name: "expiry-floor-size", unit: "MiB", about: "the same written anew by vacuum full: what the live rows take" },
  ],
  async prepare({ startSpool, createDatabase }, size, { events = size(EVENTS) }) {
    await assertDisk(events);
    return { run: () => expire({ startSpool, createDatabase }, events), close() {} };
  },
};

function rate(name: string, unit: string, about: string, atLeast: number): Figure[] {
  return [
    { name: `expiry-${name}-kept`, unit, about: `${about}; nothing is removed` },
    {
      name: `expiry-${name}-removing`,
      unit,
      about: `${about}; expired tasks are removed`,
      comparisons: [{ with: `expiry-${name}-kept`, bar: { atLeast } }],
    },
  ];
}

function time(name: string, about: string, atMost?: number): Figure[] {
  const bar = atMost === undefined ? {} : { bar: { atMost } };
  return [
    { name: `expiry-${name}-kept`, unit: "ms", about: `${about}; nothing is removed` },
    {
      name: `expiry-${name}-removing`,
      unit: "ms",
      about: `${about}; expired tasks are removed`,
      comparisons: [{ with: `expiry-${name}-kept`, ...bar }],
    },
  ];
}

async function assertDisk(events: number): Promise<void> {
  const { bavail, bsize } = await statfs(tmpdir());
  const [needed, free] = [events * DISK_BYTES_PER_EVENT, bavail * bsize];
  if (free < needed) throw new Error(`expiry needs ${inMiB(needed)} of disk in ${tmpdir()}; ${inMiB(free)} are free`);
}

async function expire(
  { startSpool, createDatabase }: Pick<Servers, "startSpool" | "createDatabase">,
  events: number,
): Promise<Record<string, number>> {
  await using database = await createDatabase();
  const { url } = database;
  const start = (turn: Turn) =>
    startSpool({
      databaseUrl: url,
      // As rows: of packed tapes, there would be little to delete.
      settings: { SPOOL_RETENTION: turn === KEPT ? "forever" : RETENTION, SPOOL_PACK_AFTER: "never" },
    });
  await (await start(KEPT))[Symbol.asyncDispose](); // Makes the schema.
  const stored = await addExpiredTasks(url, events);
  const loaded = await say(url, `${stored.tasks} expired tasks with ${stored.events} events are stored`);
  const taken: Record<Turn, Taken[]> = { [KEPT]: [], [REMOVING]: [] };
  let removedMs = 0;
  let wholeTurns = 0;
  for (let number = 1; number <= TURNS; number++) {
    // The second turn of a pair finds a warmer database: each has the second turn as often as the other.
    const turns: Turn[] = number % 2 === 1 ? [KEPT, REMOVING] : [REMOVING, KEPT];
    const pair: Partial<Record<Turn, Taken>> = {};
    for (const turn of turns) {
      await settle(url);
      const startedAt = performance.now();
      await using spool = await start(turn);
      using client = connect({ address: spool.address });
      pair[turn] = await takeTurn(client);
      if (turn === REMOVING) removedMs += performance.now() - startedAt;
    }
    const { tasks, tapes } = await readUnremoved(url);
    console.error(`expiry, turn ${number}: ${tasks} tasks and ${tapes} tapes are left`);
    const isWhole = tasks + tapes > 0;
    if (isWhole) wholeTurns++;
    // In a turn in which the last task was removed, a part of the measures ran beside nothing.
    if (isWhole || number === 1) for (const turn of turns) taken[turn].push(pair[turn]!);
    if (!isWhole) break;
  }
  removedMs += await removeRest(url, await start(REMOVING));
  const end = await say(url, "all is removed");
  await query(url, "vacuum (analyze)");
  const vacuumed = await say(url, "after a vacuum");
  await query(url, "vacuum full");
  const floor = await say(url, "written anew");
  const of = (turn: Turn, what: keyof Taken) => median(taken[turn].map((one) => one[what]));
  const outcome: Record<string, number> = {
    "expiry-turns": wholeTurns,
    "expiry-seconds": removedMs / 1_000,
    "expiry-loaded-size": loaded,
    "expiry-end-size": end,
    "expiry-vacuumed-size": vacuumed,
    "expiry-floor-size": floor,
  };
  for (const turn of [KEPT, REMOVING] as const) {
    outcome[`expiry-events-${turn}`] = of(turn, "events");
    outcome[`expiry-short-tasks-${turn}`] = of(turn, "shortTasks");
    outcome[`expiry-start-p50-${turn}`] = of(turn, "startP50");
    outcome[`expiry-start-p99-${turn}`] = of(turn, "startP99");
  }
  return outcome;
}

async function takeTurn(client: SpoolClient): Promise<Taken> {
  const run = async (events: number) => {
    const { events: tape } = await client.run({ kind: burst.name, params: { events } });
    await countTape(tape, events);
  };
  await rateOf(() => run(SHORT.events), { times: 500, atOnce: SHORT.atOnce });
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: LONG.tasks }, () => run(LONG.events)));
  const events = perSecond(LONG.tasks * LONG.events, startedAt);
  const shortTasks = await rateOf(() => run(SHORT.events), SHORT);
  const runAt = new Date(Date.now() + DAY_MS);
  const startMs: number[] = [];
  await rateOf(async () => {
    const sentAt = performance.now();
    await client.start({ kind: burst.name, params: { events: 0 }, runAt });
    startMs.push(performance.now() - sentAt);
  }, STARTS);
  return { events, shortTasks, startP50: quantile(startMs, 0.5), startP99: quantile(startMs, 0.99) };
}

/** Waits until a server without callers has removed the rest. @returns how long that took, in ms */
async function removeRest(url: string, spool: AsyncDisposable): Promise<number> {
  await using _ = spool;
  const startedAt = performance.now();
  for (;;) {
    const { tasks, tapes } = await readUnremoved(url);
    if (tasks + tapes === 0) return performance.now() - startedAt;
    await setTimeout(POLL_MS);
  }
}

/** Says the sizes of the tables. @returns all together, in MiB */
async function say(url: string, when: string): Promise<number> {
  const sizes = await readTableSizes(url);
  console.error(`expiry, ${when}: ${inMiB(bytesOf(sizes))}\n  ${describeSizes(sizes)}`);
  return bytesOf(sizes) / 1024 ** 2;
}
