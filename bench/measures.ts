import type { Measure } from "./measure.ts";
import { backlogDrain, graphileWorkerDrain, pgBossDrain } from "./measures/backlog-drain.ts";
import { claimBacklog } from "./measures/claim-backlog.ts";
import { cpu } from "./measures/cpu.ts";
import { events1, events16, events16Worker, events1Worker } from "./measures/events.ts";
import { expiry } from "./measures/expiry.ts";
import { fanOut, fanOutBehind } from "./measures/fan-out.ts";
import { getEvents, postgresPages } from "./measures/get-events.ts";
import { growth } from "./measures/growth.ts";
import { grpcStream, grpcStream16, grpcStreamBytes } from "./measures/grpc-stream.ts";
import { grpcUnary } from "./measures/grpc-unary.ts";
import { packedTapes, storage } from "./measures/packed-tapes.ts";
import { heldTransaction } from "./measures/held-transaction.ts";
import { latency } from "./measures/latency.ts";
import { listTasks } from "./measures/list-tasks.ts";
import { million } from "./measures/million.ts";
import { dbos, graphileWorker, pgBoss } from "./measures/peers.ts";
import { postgres1024, postgres256 } from "./measures/postgres-batches.ts";
import { postgresRead } from "./measures/postgres-read.ts";
import { postgresInsert, postgresRows } from "./measures/postgres-rows.ts";
import { replay } from "./measures/replay.ts";
import { shards } from "./measures/shards.ts";
import { shortTasks, shortTasksWorker } from "./measures/short-tasks.ts";
import { startAndEnd } from "./measures/start-and-end.ts";
import { startTask } from "./measures/start-task.ts";
import { credentialsEvents, credentialsStarts, credentialsTasks } from "./measures/credentials.ts";
import { telemetryEvents, telemetryTasks } from "./measures/telemetry.ts";
import { stoppedFollowers } from "./measures/stopped-followers.ts";
import { waitingFollowers } from "./measures/waiting-followers.ts";

/** In the order of a round: each near what it is compared with. */
export const MEASURES: readonly Measure[] = [
  shortTasks,
  shortTasksWorker,
  dbos,
  startAndEnd,
  graphileWorker,
  pgBoss,
  startTask,
  grpcUnary,
  getEvents,
  postgresPages,
  events16,
  events16Worker,
  postgres1024,
  postgres256,
  grpcStream16,
  events1,
  events1Worker,
  fanOut,
  fanOutBehind,
  stoppedFollowers,
  latency,
  postgresInsert,
  postgresRows,
  replay,
  grpcStream,
  packedTapes,
  storage,
  grpcStreamBytes,
  postgresRead,
  waitingFollowers,
  listTasks,
  telemetryTasks,
  telemetryEvents,
  credentialsTasks,
  credentialsEvents,
  credentialsStarts,
  cpu,
  shards,
  million,
  claimBacklog,
  backlogDrain,
  graphileWorkerDrain,
  pgBossDrain,
  growth,
  heldTransaction,
  expiry,
];
