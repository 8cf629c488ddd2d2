import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { setTimeout } from "node:timers/promises";
import { promisify } from "node:util";

const PEAK_EVERY_MS = 20;
const SETTLE_EVERY_MS = 250;
const SETTLED_SAMPLES = 8;
/** How far these may lie apart, of the largest. */
const SETTLED_SHARE = 0.005;
const SETTLE_SAMPLES_MAX = 80;

/** The memory of a process that is not swapped out and not given back, shared pages included, in KiB. */
async function residentKib(pid: number): Promise<number> {
  const text = existsSync("/proc/self/status")
    ? /^VmRSS:\s*(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1]
    : (await promisify(execFile)("ps", ["-o", "rss=", "-p", `${pid}`])).stdout;
  const kib = Number(text);
  if (!(kib > 0)) throw new Error(`there is no telling the memory of process ${pid}`);
  return kib;
}

/** The same once it stays as it is: a heap grows and shrinks for a while after the work. The last, if it never does. */
export async function settledKib(pid: number): Promise<number> {
  const samples: number[] = [];
  while (samples.length < SETTLE_SAMPLES_MAX) {
    samples.push(await residentKib(pid));
    const last = samples.slice(-SETTLED_SAMPLES);
    const [low, high] = [Math.min(...last), Math.max(...last)];
    if (last.length === SETTLED_SAMPLES && high - low <= high * SETTLED_SHARE) break;
    await setTimeout(SETTLE_EVERY_MS);
  }
  return samples.at(-1)!;
}

/** The most that a process takes while a piece of work is done, in KiB. */
export async function peakKib(pid: number, work: () => Promise<unknown>): Promise<number> {
  const done = new AbortController();
  const watch = async () => {
    let peak = 0;
    while (!done.signal.aborted) {
      peak = Math.max(peak, await residentKib(pid));
      await setTimeout(PEAK_EVERY_MS);
    }
    return peak;
  };
  const watching = watch();
  watching.catch(() => {}); // It is awaited below, where the work succeeds.
  try {
    await work();
  } finally {
    done.abort();
  }
  return watching;
}
