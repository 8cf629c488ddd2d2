import { execFileSync } from "node:child_process";
import { cpus, loadavg, totalmem } from "node:os";

/** Where and of what the figures were taken: without it they mean nothing to the next reader. */
export interface Machine {
  processor: string;
  cores: number;
  memoryGib: number;
  node: string;
  postgres: string;
  /** Of the checkout; with "+" where it holds more than was committed. */
  commit: string;
}

export function describeMachine(postgres: string): Machine {
  return {
    processor: cpus()[0]?.model.trim() ?? process.arch,
    cores: cpus().length,
    memoryGib: Math.round(totalmem() / 1024 ** 3),
    node: process.versions.node,
    postgres,
    commit: readCommit(),
  };
}

/** How many processes wanted a core in the last minute. More than the benchmark's own, and others were at work. */
export function loadNow(): number {
  return Math.round(loadavg()[0]! * 100) / 100;
}

function readCommit(): string {
  const git = (...args: string[]) =>
    execFileSync("git", args, {
      cwd: import.meta.dirname,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  try {
    return git("rev-parse", "--short", "HEAD") + (git("status", "--porcelain") === "" ? "" : "+");
  } catch {
    return "unknown"; // A copy without its history.
  }
}
