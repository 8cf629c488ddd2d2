// A process beside the quiet caller of noisy-neighbour: `noisy-process.ts noise ADDRESS` starts and follows tasks of the
// namespace `noisy`, `noisy-process.ts burn CPU_SHARE` only computes. Until its standard input ends; then prints a
// NoiseEnd.

import { setTimeout } from "node:timers/promises";
import { connect, SpoolRpcError } from "../../../src/client/client.ts";
import { burn } from "./rude-attacks.ts";

export interface NoiseEnd {
  /** How many tasks were started, and how often a limit refused a call. */
  started: number;
  refused: number;
  seconds: number;
  /** Of a core. */
  cpuShare: number;
}

const LOOPS = 64;
const RETRY_MS_MIN = 50;

const [mode, argument = ""] = process.argv.slice(2);
const ended = new AbortController();
process.stdin.on("end", () => ended.abort()).resume();
const { signal } = ended;
const before = process.cpuUsage();
const begun = performance.now();
let started = 0;
let refused = 0;
if (mode === "burn") await burn(Number(argument), signal);
else await makeNoise(argument);
const seconds = (performance.now() - begun) / 1_000;
const { user, system } = process.cpuUsage(before);
const end: NoiseEnd = { started, refused, seconds, cpuShare: (user + system) / 1_000_000 / seconds };
console.log(JSON.stringify(end));
process.exit();

async function makeNoise(address: string): Promise<void> {
  using client = connect({ address, namespace: "noisy", retryMs: 0 });
  const loop = async () => {
    while (!signal.aborted) {
      try {
        const { task } = await client.start({ kind: "echo", params: { count: 20 } });
        started++;
        for await (const event of client.follow({ taskId: task.taskId })) if (event.type === "final") break;
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof SpoolRpcError) || error.reason !== "LIMIT_EXCEEDED") throw error;
        refused++;
        // A caller waits as it was asked to, but not longer.
        await setTimeout(Math.max(RETRY_MS_MIN, error.retryAfterMs ?? 0));
      }
    }
  };
  await Promise.all(Array.from({ length: LOOPS }, loop));
}
