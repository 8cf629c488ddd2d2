import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

// The packages of this folder's package.json are no dependencies of Spool. They are installed when they are first
// asked for, where nothing takes their sources for Spool's, and loaded from there.

const WANTED = import.meta.dirname;
const INSTALLED = join(WANTED, "..", "..", "node_modules", ".cache", "spool-bench");
const PEERS = ["@dbos-inc/dbos-sdk", "graphile-worker", "pg-boss"] as const;
const LOCK = "package-lock.json";

/** Installs what the lock file says, unless it is there already. Output goes to standard error. */
export function installPeers(): void {
  if (isInstalled()) return;
  mkdirSync(INSTALLED, { recursive: true });
  for (const name of ["package.json", LOCK]) copyFileSync(join(WANTED, name), join(INSTALLED, name));
  execFileSync("npm", ["ci", "--prefix", INSTALLED, "--ignore-scripts", "--no-audit", "--no-fund"], {
    stdio: ["ignore", process.stderr, process.stderr],
  });
}

function isInstalled(): boolean {
  const there = existsSync(join(INSTALLED, "node_modules", `.${LOCK}`)) && existsSync(join(INSTALLED, LOCK));
  return there && readFileSync(join(INSTALLED, LOCK)).equals(readFileSync(join(WANTED, LOCK)));
}

/**
 * A module of an installed package. Its own types are not there where Spool's are checked, so that whoever loads it
 * says what it uses of it.
 */
export function loadPeer<Module>(name: string): Module {
  return createRequire(join(INSTALLED, "package.json"))(name) as Module;
}

/** Of the peers, without what draws and what they bring along. */
export function peerVersions(): Record<string, string> {
  const text = readFileSync(join(WANTED, "package.json"), "utf8");
  const { dependencies } = JSON.parse(text) as { dependencies: Record<(typeof PEERS)[number], string> };
  return Object.fromEntries(PEERS.map((name) => [name, dependencies[name]]));
}
