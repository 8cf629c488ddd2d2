/** A process with an engine, to be killed: starts a task that waits for ever, says its id and waits too. */
import { openDatabase } from "../../src/store/database.ts";
import { kindOf, start, untilEvent, untilStopped } from "./engine-tasks.ts";
import { startEngine } from "./engines.ts";

const [url, namespace, maxAttempts] = process.argv.slice(2);
const store = await openDatabase({ url: url! });
const wait = kindOf("wait", async (task) => {
  await task.log("INFO", "here");
  return untilStopped(task.signal);
});
const engine = await startEngine(store, { namespace: namespace!, kinds: [wait], leaseMs: 1_000 });
const taskId = await start(engine, { kind: "wait", maxAttempts: Number(maxAttempts) });
await untilEvent(engine, taskId, "log");
console.log(taskId);
