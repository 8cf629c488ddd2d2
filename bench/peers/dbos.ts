// A workflow that writes 10 values to a stream, which is read to its end, 64 at once: all in this one process, since
// DBOS is a library. Started by measures/peers.ts.

import { rateOf } from "../rate.ts";
import { loadPeer } from "./installed.ts";
import { databaseUrl, report } from "./program.ts";

/** What is used of it. */
interface Dbos {
  setConfig(config: {
    name: string;
    systemDatabaseUrl: string;
    systemDatabasePoolSize: number;
    logLevel: string;
  }): void;
  registerWorkflow<Return>(workflow: () => Promise<Return>, config: { name: string }): () => Promise<Return>;
  launch(): Promise<void>;
  startWorkflow(workflow: () => Promise<void>): () => Promise<{ workflowID: string }>;
  writeStream(key: string, value: object): Promise<void>;
  closeStream(key: string): Promise<void>;
  readStream(workflowId: string, key: string): AsyncIterable<object>;
}

const EVENTS = 10;
const AT_ONCE = 64;
const TASKS = 500;
/** As many as Spool's server has. */
const CONNECTIONS = 16;
const STREAM = "events";

const { DBOS } = loadPeer<{ DBOS: Dbos }>("@dbos-inc/dbos-sdk");

const workflow = DBOS.registerWorkflow(writeEvents, { name: "burst" });
DBOS.setConfig({
  name: "bench",
  systemDatabaseUrl: databaseUrl(),
  systemDatabasePoolSize: CONNECTIONS,
  logLevel: "error",
});
await DBOS.launch();
await rateOf(runAndRead, { times: 2 * AT_ONCE, atOnce: AT_ONCE });
await report({ perSecond: await rateOf(runAndRead, { times: TASKS, atOnce: AT_ONCE }) });

async function writeEvents(): Promise<void> {
  for (let step = 1; step <= EVENTS; step++) {
    await DBOS.writeStream(STREAM, { phase: "burst", current: step, total: EVENTS });
  }
  await DBOS.closeStream(STREAM);
}

async function runAndRead(): Promise<void> {
  const { workflowID: workflowId } = await DBOS.startWorkflow(workflow)();
  let seen = 0;
  for await (const _ of DBOS.readStream(workflowId, STREAM)) seen++;
  if (seen !== EVENTS) throw new Error(`a stream of ${seen} values`);
}
