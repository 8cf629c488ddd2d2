// A worker of a chaos run, in a process that may be killed at any moment:
// `worker-process.ts ADDRESS NAMESPACE FOLDER NAME CONCURRENCY`. It ends when its standard input ends.

import { worker } from "../../../src/client/client.ts";
import { openNotes } from "./attempt-notes.ts";
import { chaosKinds } from "./kinds.ts";

process.stdin.on("end", () => process.exit()).resume();
const [address, namespace, folder, name, concurrency] = process.argv.slice(2);
const running = worker({
  address,
  namespace,
  kinds: chaosKinds("worker", openNotes(folder!, name!)),
  concurrency: Number(concurrency),
  drainMs: 0,
  graceMs: 500,
});
await running.stopped;
process.stdin.destroy();
