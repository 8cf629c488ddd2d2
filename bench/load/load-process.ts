// Loads servers in a process of its own, so that its CPU time is that of a client and nothing else. Started by
// load-child.ts, which sends it the targets and then orders, and without which it ends.

import { on } from "node:events";
import { openLoad } from "./load.ts";
import type { Load, LoadOrder, Target } from "./load.ts";

process.on("disconnect", () => process.exit());
let load: Load | undefined;
for await (const [message] of on(process, "message") as AsyncIterable<[LoadOrder | LoadTargets]>) {
  if ("targets" in message) load = openLoad(message.targets, message.token);
  else process.send!(await load!.run(message));
}

/** The first message. */
export interface LoadTargets {
  targets: readonly Target[];
  token?: string | undefined;
}
