import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";

// The CPU time of other processes, as Linux counts it for each. What kernel threads do for them, such as writing to the
// disk, is in no process.

/** Of a process that is there. */
interface ProcessTime {
  ownUs: number;
  /** Of its children that have ended, and of theirs. */
  reapedUs: number;
}

const ATTEMPTS_MAX = 20;
let tickUs: number | undefined;

/**
 * Returns the CPU time of a process, of all its threads, and of its children whether they live or not, in µs. It only
 * grows. Of a process with one thread, such as those of Postgres, it is exact; of others, to the 10 ms of a tick.
 *
 * @throws if the process is not there, or the system is not Linux
 */
export function treeTimeUs(pid: number): number {
  if (!existsSync("/proc/self/stat"))
    throw new Error("the CPU time of processes is read from /proc, which only Linux has");
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const before = readTime(pid);
    if (before === null) throw new Error(`there is no process ${pid}`);
    const children = childrenOf(pid).map(timeOfChild);
    const after = readTime(pid);
    // A child that ended in between would be counted twice or not at all.
    if (after === null || children.includes(null) || after.reapedUs !== before.reapedUs) continue;
    return after.ownUs + after.reapedUs + children.reduce<number>((sum, time) => sum + time!, 0);
  }
  throw new Error(`the children of process ${pid} come and go too fast to be counted`);
}

function timeOfChild(pid: number): number | null {
  try {
    return treeTimeUs(pid);
  } catch {
    return null; // It has ended.
  }
}

/** Returns the processes that a process has started, on any of its threads. */
export function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8").split(" ").filter(Boolean).map(Number),
    );
  } catch {
    return []; // The process has ended, or one of its threads.
  }
}

/** @returns null if the process has ended */
function readTime(pid: number): ProcessTime | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name of the program may hold spaces. The fields after it are counted from the third.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    const field = (number: number) => Number(fields[number - 3]);
    const ticks = (field(14) + field(15)) * tickLengthUs();
    const reapedUs = (field(16) + field(17)) * tickLengthUs();
    const isSingle = field(20) === 1;
    return { ownUs: isSingle ? (exactUs(pid) ?? ticks) : ticks, reapedUs };
  } catch {
    return null;
  }
}

/** Of the first thread. @returns null where the kernel does not say it */
function exactUs(pid: number): number | null {
  const path = `/proc/${pid}/schedstat`;
  return existsSync(path) ? Number(readFileSync(path, "utf8").split(" ")[0]) / 1_000 : null;
}

function tickLengthUs(): number {
  tickUs ??= 1e6 / Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));
  return tickUs;
}
