import { nameOf } from "../target/workers.ts";
import { choose } from "../workload/choices.ts";
import { faultOfService } from "./fault.ts";

/** A worker is stopped with SIGTERM. Another takes its place. */
export const workerStop = faultOfService({
  name: "worker-stop",
  lane: "workers",
  async inject({ workers }, { random }) {
    const worker = choose(random, workers);
    const { pid } = worker.processes.at(-1)!;
    await worker.replace("SIGTERM");
    return { target: nameOf(worker), pid };
  },
});
