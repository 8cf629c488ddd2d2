// Runs the benchmark's tasks as a worker, in a process of its own, as a service elsewhere would. Started by
// bench-worker.ts, without which it ends.

import { worker } from "../src/client/client.ts";
import { remoteBurst } from "./remote-burst.ts";

process.on("disconnect", () => process.exit());
const [address, namespace] = process.argv.slice(2);
const running = worker({
  address,
  namespace,
  kinds: [remoteBurst],
  concurrency: 64,
  drainMs: 0,
  onNotice: ({ type }) => type === "connected" && process.send!("connected"),
});
await running.stopped;
process.disconnect();
