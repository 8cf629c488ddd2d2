import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus, loadavg, release, totalmem, type } from "node:os";

/** Where and of what the figures were taken: without it they mean nothing to the next reader. */
export interface Machine {
  processor: string;
  cores: number;
  memoryGib: number;
  /** The operating system, its release and the architecture. */
  system: string;
  /** Of Node, Postgres, and what else takes part. */
  versions: Record<string, string>;
  /** Of the checkout; with "+" where it holds more than was committed. */
  commit: string;
}

/** @param versions of what package.json does not say */
export function describeMachine(versions: Readonly<Record<string, string>>): Machine {
  const { version, dependencies } = JSON.parse(
    readFileSync(new URL(import.meta.resolve("../package.json")), "utf8"),
  ) as { version: string; dependencies: Record<"@grpc/grpc-js" | "pg", string> };
  return {
    processor: cpus()[0]?.model.trim() ?? process.arch,
    cores: cpus().length,
    memoryGib: Math.round(totalmem() / 1024 ** 3),
    system: `${type()} ${release()} ${process.arch}`,
    versions: {
      spool: version,
      node: process.versions.node,
      "@grpc/grpc-js": dependencies["@grpc/grpc-js"],
      pg: dependencies.pg,
      ...versions,
    },
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
