import { nameOf } from "../target/workers.ts";
import { choose } from "../workload/choices.ts";
import { faultOfService } from "./fault.ts";

/** A worker is killed with SIGKILL. Another takes its place. */
export const workerKill = faultOfService({
  name: "worker-kill",
  lane: "workers",
  async inject({ workers }, { random }) {
    const worker = choose(random, workers);
    const { pid } = worker.processes.at(-1)!;
    await worker.replace("SIGKILL");
    return { target: nameOf(worker), pid };
  },
});
