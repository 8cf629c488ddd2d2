import { setTimeout } from "node:timers/promises";
import pg from "pg";
import { connect } from "../../src/client/client.ts";
import type { SpoolClient } from "../../src/client/client.ts";
import { query } from "../databases.ts";
import { burst } from "../kinds.ts";
import type { Servers } from "../servers.ts";
import { quantile } from "../statistics.ts";
import { describeSizes, readTableSizes } from "../table-sizes.ts";
import { countTape } from "./tapes.ts";

// A compressed day of two servers that remove ended tasks: short tasks, longer tapes and waiting tasks at full load.

const SERVERS = 2;
/** Few, so that tasks wait to be claimed. */
const SLOTS = "16";
const SHORT = { events: 10, callers: 24 };
const LONG = { events: 5_000, callers: 2 };
/** Callers that start tasks without following them: more than there are slots, so that some always wait. */
const QUEUED = { events: 2, callers: 24 };
const RESULT_MS_MAX = 30_000;
const PROBES_PER_SECOND = 10;
const POINTS = 5;
const WARM_MS = 10_000;

/** What was measured between two points. */
export interface DayPart {
  tasksPerSecond: number;
  eventsPerSecond: number;
  /** Of StartTask, in ms. */
  startMs: readonly number[];
  /** From when a task was due to its first attempt, of the tasks that waited, in ms. */
  claimMs: readonly number[];
}

/** Runs a day, and says at each of its points on standard error what was measured since the last one. */
export async function busyDay(
  { startSpool, createDatabase }: Pick<Servers, "startSpool" | "createDatabase">,
  { name, minutes, isHeld }: { name: string; minutes: number; isHeld: boolean },
): Promise<DayPart[]> {
  await using open = new AsyncDisposableStack();
  const { url } = open.use(await createDatabase());
  // Of an hour, two minutes; so that most of what a day stores has expired by its end.
  const retentionS = Math.max(5, Math.round(Math.min(120, (minutes * 60) / 10)));
  const settings = { SPOOL_RETENTION: `${retentionS}s`, SPOOL_SLOTS: SLOTS };
  const clients: SpoolClient[] = [];
  for (let server = 0; server < SERVERS; server++) {
    const { address } = open.use(await startSpool({ settings, databaseUrl: url }));
    clients.push(open.use(connect({ address })));
  }
  const load = open.use(new Load(clients));
  await setTimeout(WARM_MS);
  if (isHeld) open.use(await holdSnapshot(url));
  const parts: DayPart[] = [];
  load.take();
  for (let point = 1; point <= POINTS; point++) {
    await Promise.race([setTimeout((minutes * 60_000) / POINTS), load.failed]);
    const part = { ...load.take(), claimMs: await readClaimMs(url) };
    parts.push(part);
    console.error(`${name}, point ${point} of ${POINTS}: ${describePart(part)}`);
    console.error(`  ${describeSizes(await readTableSizes(url))}`);
  }
  await load.stop();
  return parts;
}

function describePart({ tasksPerSecond, eventsPerSecond, startMs, claimMs }: DayPart): string {
  const times = (samples: readonly number[]) =>
    samples.length === 0 ? "none" : `${quantile(samples, 0.5).toFixed(1)} / ${quantile(samples, 0.99).toFixed(1)} ms`;
  return (
    `${Math.round(tasksPerSecond)} tasks/s, ${Math.round(eventsPerSecond)} events/s, ` +
    `start ${times(startMs)}, claim ${times(claimMs)} (p50 / p99)`
  );
}

/** How long tasks that began lately have waited since they were due. */
async function readClaimMs(url: string): Promise<number[]> {
  const rows = await query<{ ms: number }>(
    url,
    `select (extract(epoch from started_at - coalesce(run_at, created_at)) * 1000)::float8 as ms from tasks
     where namespace = 'default' and finished_at > now() - interval '5 s' and started_at > created_at limit 20000`,
  );
  return rows.map(({ ms }) => ms);
}

/** Holds a snapshot as a report or a backup does: no dead row that is newer can be removed. */
async function holdSnapshot(url: string): Promise<AsyncDisposable> {
  const holder = new pg.Client({ connectionString: url });
  await holder.connect();
  await holder.query("begin isolation level repeatable read");
  await holder.query("select count(*) from tasks");
  return { [Symbol.asyncDispose]: () => holder.end() };
}

/** Callers that go on until they are stopped. */
class Load implements AsyncDisposable {
  /** Rejects where a call fails: then nothing is measured. */
  readonly failed: Promise<never>;
  readonly #stopped = new AbortController();
  readonly #callers: Promise<unknown>;
  #tasks = 0;
  #events = 0;
  #startMs: number[] = [];
  #takenAt = performance.now();

  constructor(clients: readonly SpoolClient[]) {
    const { promise, reject } = Promise.withResolvers<never>();
    this.failed = promise;
    promise.catch(() => {});
    const callers = clients.flatMap((client) => [
      ...this.#each(SHORT.callers / SERVERS, () => this.#follow(client, SHORT.events)),
      ...this.#each(LONG.callers / SERVERS, () => this.#follow(client, LONG.events)),
      ...this.#each(QUEUED.callers / SERVERS, () => this.#queue(client)),
      ...this.#each(1, () => this.#probe(client)),
    ]);
    this.#callers = Promise.all(callers).catch(reject);
  }

  #each(callers: number, work: () => Promise<void>): Promise<void>[] {
    return Array.from({ length: callers }, async () => {
      while (!this.#stopped.signal.aborted) await work();
    });
  }

  async #follow(client: SpoolClient, events: number): Promise<void> {
    const run = await client.run({ kind: burst.name, params: { events } });
    await countTape(run.events, events);
    this.#tasks++;
    this.#events += events;
  }

  /** Starts a task without following it, and waits for its end. */
  async #queue(client: SpoolClient): Promise<void> {
    const { events } = QUEUED;
    const { task } = await client.start({ kind: burst.name, params: { events } });
    await client.result({ taskId: task.taskId, waitMs: RESULT_MS_MAX });
    this.#tasks++;
    this.#events += events;
  }

  async #probe(client: SpoolClient): Promise<void> {
    const startedAt = performance.now();
    await client.start({ kind: burst.name, params: { events: 0 } });
    this.#startMs.push(performance.now() - startedAt);
    await setTimeout((1_000 * SERVERS) / PROBES_PER_SECOND);
  }

  /** Returns what was measured since the last call. */
  take(): Omit<DayPart, "claimMs"> {
    const seconds = (performance.now() - this.#takenAt) / 1_000;
    const part = {
      tasksPerSecond: this.#tasks / seconds,
      eventsPerSecond: this.#events / seconds,
      startMs: this.#startMs,
    };
    this.#tasks = this.#events = 0;
    this.#startMs = [];
    this.#takenAt = performance.now();
    return part;
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#callers;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
