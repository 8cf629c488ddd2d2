#!/usr/bin/env node
// Plain JavaScript, because an older Node must be able to parse this file. Spool itself is TypeScript that Node 24 runs
// without a build step. If the current Node is older, this file runs the Node 24 that npm installed in node_modules.

import { spawn } from "node:child_process";
import { existsSync, realpathSync } from "node:fs";
import * as nodeModule from "node:module"; // A namespace import: an older Node lacks enableCompileCache.
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { findBundle } from "./bundle.js";

const NODE_MAJOR = 24;
/**
 * V8 flags that limit a server's heap. By default V8 lets garbage grow to several times the live memory, and a tape of a
 * million events is garbage as soon as it has been read.
 */
const SERVER_HEAP_FLAGS = ["--max-semi-space-size=16", "--heap-growing-percent=100"];
const installedNode = fileURLToPath(new URL("../node_modules/node/bin/node", import.meta.url));

const isServer = process.argv[2] === "serve";
/** A flag in NODE_OPTIONS takes precedence. So does a flag on Node's command line, because it comes after these. */
const isInNodeOptions = (flag) => process.env.NODE_OPTIONS?.includes(flag.split("=")[0]);
const heapFlags = isServer ? SERVER_HEAP_FLAGS.filter((flag) => !isInNodeOptions(flag)) : [];

if (Number.parseInt(process.versions.node, 10) < NODE_MAJOR) {
  if (existsSync(installedNode) && realpathSync(installedNode) !== process.execPath) runWith(installedNode);
  else rejectOldNode();
} else {
  // V8 reads these flags only when a process starts. The restart keeps the process id.
  if (heapFlags.some((flag) => !process.execArgv.includes(flag))) restartWithHeapFlags();
  await import(entryModule());
}

/**
 * Returns the entry point of an installed package, or of a checkout. In a checkout, commands run their bundle if it
 * matches the sources, and a server always runs the sources.
 */
function entryModule() {
  const root = fileURLToPath(new URL("..", import.meta.url));
  const packaged = join(root, "dist", "spool.js");
  const bundle = existsSync(packaged) ? packaged : isServer ? null : findBundle(root);
  if (bundle === null) return "../src/cli/main.ts";
  // The cache is beside the bundle, so only users who may change the bundle can write the cache. Others run uncached.
  nodeModule.enableCompileCache(join(dirname(bundle), "cache"));
  return pathToFileURL(bundle).href;
}

/** Replaces this process by one with the heap flags, if the platform supports execve. */
function restartWithHeapFlags() {
  // A parent with an IPC channel would lose the channel: such a parent has to pass the flags itself.
  if (process.execve === undefined || process.platform === "win32" || process.channel != null) return;
  const listeners = process.listeners("warning");
  process.removeAllListeners("warning"); // execve warns that it is experimental. An operator cannot act on that.
  try {
    process.execve(process.execPath, [process.execPath, ...heapFlags, ...process.execArgv, ...process.argv.slice(1)]);
  } catch {
    // The system refused: the server runs with the default heap.
    for (const listener of listeners) process.on("warning", listener);
  }
}

function rejectOldNode() {
  console.error(
    `spool needs Node ${NODE_MAJOR} or newer; this is Node ${process.versions.node} (${process.execPath}).`,
  );
  process.exitCode = 1;
}

/** Runs this command with another Node and exits with its exit code. */
function runWith(node) {
  const child = spawn(node, [...heapFlags, ...process.argv.slice(1)], { stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR2"]) process.on(signal, () => forward(child, signal));
  child.on("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
}

/**
 * Passes a signal on to the child, except a Ctrl-C on a terminal: the terminal sends SIGINT to the child as well, and a
 * second SIGINT would skip the graceful shutdown.
 */
function forward(child, signal) {
  const fromTerminal = signal === "SIGINT" && (process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY);
  if (!fromTerminal) child.kill(signal);
}
