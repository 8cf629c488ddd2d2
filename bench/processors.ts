import { execFileSync } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync, readdirSync, rmdirSync, writeFileSync } from "node:fs";
import { setPriority } from "node:os";
import { join } from "node:path";
import { childrenOf } from "./cpu/process-time.ts";

const LOWER = 10;
/** Short, so that a process that has used its share waits for milliseconds. */
const PERIOD_US = 10_000;
const CGROUPS = "/sys/fs/cgroup";

/**
 * Lets a process and its children run on one core only, and what they start from now on.
 *
 * @throws where there is no `taskset`, which is a program of Linux
 */
export function pinTo(core: number, pid: number): void {
  // The process first: what it starts in between is pinned already.
  for (const each of [pid, ...childrenOf(pid)]) {
    execFileSync("taskset", ["-a", "-c", "-p", `${core}`, `${each}`], { stdio: ["ignore", "ignore", "pipe"] });
  }
}

/** Gives a process with all its threads less of a core than others that want it: about a tenth. */
export function lowerPriority(pid: number): void {
  for (const thread of readdirSync(`/proc/${pid}/task`)) setPriority(Number(thread), LOWER);
}

/**
 * Lets a process and its children use only a share of a core, and what they start from now on. Disposing, when all of
 * them have ended, removes the control group.
 *
 * @param share 0 to 1
 * @throws where this process may not make control groups: they need Linux, and root
 */
export function limitTo(share: number, pid: number): Disposable {
  const isUnified = existsSync(join(CGROUPS, "cgroup.controllers"));
  const folder = join(CGROUPS, isUnified ? "" : "cpu", `spool-bench-${pid}`);
  mkdirSync(folder);
  const write = (file: string, text: string) => writeFileSync(join(folder, file), text);
  const quota = Math.round(share * PERIOD_US);
  if (isUnified) write("cpu.max", `${quota} ${PERIOD_US}`);
  else {
    write("cpu.cfs_period_us", `${PERIOD_US}`);
    write("cpu.cfs_quota_us", `${quota}`);
  }
  for (const each of [pid, ...childrenOf(pid)]) appendFileSync(join(folder, "cgroup.procs"), `${each}`);
  return { [Symbol.dispose]: () => rmdirSync(folder) };
}
