import { setTimeout } from "node:timers/promises";
import { connect } from "../../src/client/client.ts";
import type { SpoolClient } from "../../src/client/client.ts";
import { cpuFigures, cpuOutcome } from "../cpu/figures.ts";
import { costOf } from "../cpu/meter.ts";
import type { CpuTime, Part } from "../cpu/meter.ts";
import { treeTimeUs } from "../cpu/process-time.ts";
import { query } from "../databases.ts";
import { openFollowers } from "../followers.ts";
import { burst } from "../kinds.ts";
import { startLoad } from "../load/load-child.ts";
import type { LoadChild } from "../load/load-child.ts";
import { WORKS } from "../load/works.ts";
import type { Work } from "../load/works.ts";
import type { Measure, Size } from "../measure.ts";
import { rateOf } from "../rate.ts";
import { ONE_OF_EACH } from "../service.ts";
import type { Service } from "../service.ts";
import { drainWaiting } from "./drain-waiting.ts";
import { followRequest, startGated, STREAM_EVENTS } from "./gated-tasks.ts";

/** So that the cleaning of tables and the writing of pages are in no other row than their own. */
const POSTGRES_SETTINGS = { autovacuum: "off", checkpoint_timeout: "1h", max_wal_size: "16GB" };
const UPKEEP = ["vacuum (analyze)", "checkpoint"];

const TURNS: Readonly<Record<Work, number>> = { "short-task": 6_000, event: 64, start: 12_000 };
const WARM_TURNS: Readonly<Record<Work, number>> = { "short-task": 2_000, event: 32, start: 2_000 };
const WAITING_TASKS = 20_000;
const IDLE_MS = 10_000;
const FOLLOWERS = 4_000;
const FOLLOWED_MS = 20_000;
/** What is new after the opening of followers, such as garbage, is gone. */
const QUIET_MS = 2_000;
const WOKEN = { followers: 200, perSecond: 100, events: 500 };
const CONNECTIONS = 20;
const STARTS_AT_ONCE = 64;
const OPEN_AT_ONCE = 64;
const DAY_MS = 24 * 60 * 60 * 1_000;

const NO_CLIENT: readonly Part[] = ["client"];
const DATABASE_ALONE: readonly Part[] = ["client", "server"];
const EACH_SECOND = "µs/s";

export const cpu: Measure = {
  name: "cpu",
  about:
    "CPU time of client, server and database for a start, a short task, an event, a claim and a follower, on a service " +
    "of its own, at most 3 times: two minutes",
  only: "heavy",
  roundsMax: 3,
  figures: [
    ...cpuFigures("idle", {
      about: "a second of a server with one namespace and no caller",
      unit: EACH_SECOND,
      without: NO_CLIENT,
    }),
    ...cpuFigures("short-task", { about: WORKS["short-task"].about }),
    ...cpuFigures("upkeep", { about: "a vacuum and a checkpoint afterwards, per short task", without: DATABASE_ALONE }),
    ...cpuFigures("event", { about: WORKS.event.about }),
    ...cpuFigures("start", { about: WORKS.start.about }),
    ...cpuFigures("claim", {
      about: "a waiting task that is claimed, run without an event of its own and ended, of a backlog; not followed",
      without: NO_CLIENT,
    }),
    ...cpuFigures("waiting-follower", {
      about: "a second of a follower of a quiet tape of its own, of 4,000, beyond what is idle",
      unit: EACH_SECOND,
    }),
    ...cpuFigures("woken-follower", {
      about: "a follower that gets an event, of 200 at one tape with 100 events a second; it does not decode",
    }),
  ],
  async prepare({ startService }, size) {
    await using preparing = new AsyncDisposableStack();
    const service = preparing.use(await startService(ONE_OF_EACH, { postgresSettings: POSTGRES_SETTINGS }));
    const load = preparing.use(startLoad({ targets: service.targets }));
    const client = preparing.use(connect({ ...service.targets[0]! }));
    for (const work of ["short-task", "event", "start"] as const) {
      await load.run({ work, until: { turns: size(WARM_TURNS[work]) } });
    }
    const prepared = preparing.move();
    return {
      run: () => takeAll({ service, load, client, size }),
      close: () => prepared.disposeAsync(),
    };
  },
};

interface Taking {
  service: Service;
  load: LoadChild;
  client: SpoolClient;
  size: Size;
}

async function takeAll(taking: Taking): Promise<Record<string, number>> {
  const { homeUrl } = taking.service;
  await query(homeUrl, ...UPKEEP);
  const idle = await takeIdle(taking);
  const short = await takeLoad(taking, "short-task");
  const upkeep = await costOf(measuredOf(taking), async () => {
    await query(homeUrl, ...UPKEEP);
    return { count: taking.size(TURNS["short-task"]), clientUs: 0 };
  });
  const event = await takeLoad(taking, "event");
  const start = await takeLoad(taking, "start");
  const claim = await takeClaims(taking);
  const waiting = await takeWaiting(taking, idle);
  const woken = await takeWoken(taking, idle);
  return {
    ...cpuOutcome("idle", idle, NO_CLIENT),
    ...cpuOutcome("short-task", short),
    ...cpuOutcome("upkeep", upkeep.cost, DATABASE_ALONE),
    ...cpuOutcome("event", event),
    ...cpuOutcome("start", start),
    ...cpuOutcome("claim", claim, NO_CLIENT),
    ...cpuOutcome("waiting-follower", waiting),
    ...cpuOutcome("woken-follower", woken),
  };
}

function measuredOf({ service: { servers, databases } }: Taking) {
  return { servers, databases };
}

async function takeLoad(taking: Taking, work: Work): Promise<CpuTime> {
  const turns = taking.size(TURNS[work]);
  return (await costOf(measuredOf(taking), () => taking.load.run({ work, until: { turns } }))).cost;
}

/** @returns µs of each second */
async function takeIdle(taking: Taking): Promise<CpuTime> {
  const ms = taking.size(IDLE_MS);
  await setTimeout(taking.size(QUIET_MS));
  const idle = await costOf(measuredOf(taking), async () => {
    const startedAt = performance.now();
    await setTimeout(ms);
    return { count: (performance.now() - startedAt) / 1_000, clientUs: 0 };
  });
  return idle.cost;
}

async function takeClaims(taking: Taking): Promise<CpuTime> {
  const drain = { databaseUrl: taking.service.homeUrl, tasks: taking.size(WAITING_TASKS), kind: burst.name };
  return drainWaiting(drain, async (drained) => {
    const work = async () => ({ count: await drained(), clientUs: 0 });
    return (await costOf(measuredOf(taking), work)).cost;
  });
}

/** @returns µs of each second of each follower */
async function takeWaiting(taking: Taking, idle: CpuTime): Promise<CpuTime> {
  const { client, service, size } = taking;
  const runAt = new Date(Date.now() + DAY_MS);
  const requests: string[] = [];
  const start = async () => {
    const { task } = await client.start({ kind: burst.name, params: { events: 0 }, runAt });
    requests.push(followRequest(task.taskId));
  };
  await rateOf(start, { times: size(FOLLOWERS), atOnce: STARTS_AT_ONCE });
  const { address } = service.targets[0]!;
  await using followers = await openFollowers({
    address,
    path: STREAM_EVENTS,
    requests,
    connections: CONNECTIONS,
    openAtOnce: OPEN_AT_ONCE,
  });
  await setTimeout(size(QUIET_MS));
  const waiting = await costOf(measuredOf(taking), async () => {
    const [startedAt, clientUs] = [performance.now(), treeTimeUs(followers.pid)];
    await setTimeout(size(FOLLOWED_MS));
    const seconds = (performance.now() - startedAt) / 1_000;
    return { count: requests.length * seconds, clientUs: treeTimeUs(followers.pid) - clientUs };
  });
  return without(idle, waiting.cost, 1 / requests.length);
}

/** @returns µs of each follower that is woken */
async function takeWoken(taking: Taking, idle: CpuTime): Promise<CpuTime> {
  const { client, service, size } = taking;
  const { perSecond } = WOKEN;
  const gated = await startGated(client, { tasks: 1, events: size(WOKEN.events), perSecond });
  const requests = Array.from({ length: WOKEN.followers }, () => followRequest(gated.taskIds[0]!));
  const { address } = service.targets[0]!;
  await using followers = await openFollowers({ address, path: STREAM_EVENTS, requests, connections: CONNECTIONS });
  await setTimeout(size(QUIET_MS));
  let seconds = 0;
  const woken = await costOf(measuredOf(taking), async () => {
    const [startedAt, clientUs] = [performance.now(), treeTimeUs(followers.pid)];
    await gated.open();
    const { frames } = await followers.arrived();
    seconds = (performance.now() - startedAt) / 1_000;
    return { count: frames, clientUs: treeTimeUs(followers.pid) - clientUs };
  });
  return without(idle, woken.cost, seconds / woken.work.count);
}

/** Takes off what the service would have used all the same. */
function without(idle: CpuTime, cost: CpuTime, secondsEach: number): CpuTime {
  const rest = (part: Part) => Math.max(0, cost[part] - idle[part] * secondsEach);
  return { client: cost.client, server: rest("server"), database: rest("database") };
}
