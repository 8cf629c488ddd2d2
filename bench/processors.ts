import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { setPriority } from "node:os";
import { childrenOf } from "./cpu/process-time.ts";

const LOWER = 10;

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
