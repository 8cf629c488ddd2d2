import type { CpuRow } from "../cpu/rows.ts";
import type { Part } from "../cpu/meter.ts";

// The arithmetic of docs/scale.md, "From CPU times to a plan", with the same letters there.

/** What an operator knows about a load. */
export interface PlannedLoad {
  tasksPerDay: number;
  /** The load of the busiest hour, to the mean. */
  peak: number;
  /** Of a task, besides `started` and `final`. */
  events: number;
  /** The share of tasks that wait for a slot, from 0 to 1. */
  waiting: number;
  /** Followers that wait at one time. */
  followers: number;
  /** Followers that get each event. */
  followersPerEvent: number;
  /** How busy a core may be, from 0 to 1. */
  busy: number;
}

export interface Plan {
  tasksPerSecond: number;
  /** CPU time of a task, in µs. */
  serverUs: number;
  databaseUs: number;
  clientUs: number;
  /** CPU time of servers and of the database for all waiting followers, in µs a second. */
  followersServerUs: number;
  followersDatabaseUs: number;
  serverCores: number;
  servers: number;
  databaseCores: number;
  clientCores: number;
}

const SECONDS_PER_DAY = 86_400;
/** Of the tasks and events that `short-task` and `event` measured. */
const MEASURED_EVENTS = 10;
/** A batch of 500 tasks with 10 events takes 60 ms of a connection: docs/operating.md, "Retention". */
const REMOVAL_US = 120;

/** @throws TypeError if a row of the measure `cpu` is missing */
export function planOf(rows: readonly Pick<CpuRow, "of" | "parts">[], load: PlannedLoad): Plan {
  const us = (of: string, part: Part) => {
    const row = rows.find((row) => row.of === of);
    if (row === undefined) throw new TypeError(`there is no CPU time of ${of}: take the measure cpu`);
    return row.parts[part] ?? 0;
  };
  const { tasksPerDay, peak, events, waiting, followers, followersPerEvent, busy } = load;
  const tasksPerSecond = (tasksPerDay / SECONDS_PER_DAY) * peak;
  const more = events - MEASURED_EVENTS;
  const ofTask = (part: Part) => us("short-task", part) + more * us("event", part) + waiting * us("claim", part);
  const serverUs = ofTask("server") + (followersPerEvent - 1) * events * us("woken-follower", "server");
  const databaseUs = ofTask("database") + us("upkeep", "database") + REMOVAL_US;
  const clientUs = us("short-task", "client") + more * us("event", "client");
  const followersServerUs = followers * us("waiting-follower", "server");
  const followersDatabaseUs = followers * us("waiting-follower", "database");
  const cores = (usPerSecond: number) => usPerSecond / 1e6 / busy;
  const serverCores = cores(tasksPerSecond * serverUs + followersServerUs);
  return {
    tasksPerSecond,
    serverUs,
    databaseUs,
    clientUs,
    followersServerUs,
    followersDatabaseUs,
    serverCores,
    servers: Math.ceil(serverCores) + 1, // A server uses about one core, and one may fail.
    databaseCores: cores(tasksPerSecond * databaseUs + followersDatabaseUs),
    clientCores: cores(tasksPerSecond * clientUs),
  };
}
