#!/usr/bin/env node
// Plain JavaScript, because an older Node must be able to read it: Spool itself is TypeScript, run as it is,
// and that takes Node 24. A checkout brings one in node_modules, and it is used where the machine's own is older.

import { spawn } from "node:child_process";
import { existsSync, realpathSync } from "node:fs";
import * as nodeModule from "node:module"; // Of which an older Node has less.
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { findBundle } from "./bundle.js";

const NODE_MAJOR = 24;
/**
 * What holds a server's memory to what it needs: by itself V8 lets garbage grow to several times what lives, and a tape
 * of a million events is garbage as soon as it has been read.
 */
const SERVER_HEAP = ["--max-semi-space-size=16", "--heap-growing-percent=100"];
const bundled = fileURLToPath(new URL("../node_modules/node/bin/node", import.meta.url));

const isServer = process.argv[2] === "serve";
/** What whoever starts it says of the same counts: in NODE_OPTIONS, or in flags, which come after these. */
const isSaid = (flag) => process.env.NODE_OPTIONS?.includes(flag.split("=")[0]);
const heap = isServer ? SERVER_HEAP.filter((flag) => !isSaid(flag)) : [];

if (Number.parseInt(process.versions.node, 10) < NODE_MAJOR) {
  if (existsSync(bundled) && realpathSync(bundled) !== process.execPath) runWith(bundled);
  else refuse();
} else {
  // Such flags count from the start of a process only: it becomes another, and stays the one that it is to others.
  if (heap.some((flag) => !process.execArgv.includes(flag))) becomeServer();
  await import(entry());
}

/** The bundle where it fits; but a server runs its sources, for its kinds import the same modules. */
function entry() {
  const root = fileURLToPath(new URL("..", import.meta.url));
  const bundle = isServer ? null : findBundle(root);
  if (bundle === null) return "../src/cli/main.ts";
  // Beside the bundle, where only those write who may change it, too. Where this user may not, there is no cache.
  nodeModule.enableCompileCache(join(dirname(bundle), "cache"));
  return pathToFileURL(bundle).href;
}

/** Replaces this process, where the system can. */
function becomeServer() {
  // A parent that talks with this process would lose it: it has to give the flags itself.
  if (process.execve === undefined || process.platform === "win32" || process.channel != null) return;
  const listeners = process.listeners("warning");
  process.removeAllListeners("warning"); // That the call is young is nothing to tell those who start a server.
  try {
    process.execve(process.execPath, [process.execPath, ...heap, ...process.execArgv, ...process.argv.slice(1)]);
  } catch {
    // Not allowed to: then it runs with the heap as it is.
    for (const listener of listeners) process.on("warning", listener);
  }
}

function refuse() {
  console.error(
    `spool needs Node ${NODE_MAJOR} or newer; this is Node ${process.versions.node} (${process.execPath}).`,
  );
  process.exitCode = 1;
}

/** Runs this same command with another Node, and ends as that one ends. */
function runWith(node) {
  const child = spawn(node, [...heap, ...process.argv.slice(1)], { stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR2"]) process.on(signal, () => forward(child, signal));
  child.on("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
}

/** A terminal sends its Ctrl-C to the child as well, and a second one would cut the shutdown short. */
function forward(child, signal) {
  const fromTerminal = signal === "SIGINT" && (process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY);
  if (!fromTerminal) child.kill(signal);
}
