// Callers and followers of a chaos run, in a process that may be killed at any moment: `crowd-process.ts SETTINGS`. Its
// parent tells it when to stop calling and when to leave. It ends with its parent.

import { Recorder } from "../recorder.ts";
import { Crowd } from "./crowd.ts";
import type { CrowdOrder, CrowdProcessSettings, CrowdReport } from "./crowd-processes.ts";

const { history, originMs, ...settings } = JSON.parse(process.argv[2]!) as CrowdProcessSettings;
const report = (what: CrowdReport) => process.send!(what);
process.on("disconnect", () => process.exit());
using recorder = new Recorder(history, originMs);
using crowd = new Crowd(settings, recorder);
const left = Promise.withResolvers<void>();
process.on("message", (order: CrowdOrder) => {
  if (order === "stop") crowd.stop();
  else crowd.finish().then(left.resolve, left.reject);
});
await crowd.stopped();
report("stopped");
await left.promise;
report("left");
process.disconnect();
