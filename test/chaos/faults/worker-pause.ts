import { nameOf } from "../target/workers.ts";
import { choose } from "../workload/choices.ts";
import { faultOfService } from "./fault.ts";
import { pause } from "./pause.ts";

/** A worker is stopped with SIGSTOP, for longer than its session at times, and continues. */
export const workerPause = faultOfService({
  name: "worker-pause",
  lane: "workers",
  async inject({ workers, guard }, { random, hold }) {
    const worker = choose(random, workers);
    const { pid } = worker.processes.at(-1)!;
    await pause({ pid, signal: (name) => worker.signal(name) }, guard, () => hold(200, 12_000));
    return { target: nameOf(worker), pid };
  },
});
