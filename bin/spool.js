#!/usr/bin/env node
// Plain JavaScript, because an older Node must be able to read it: Spool itself is TypeScript, run as it is,
// and that takes Node 24. A checkout brings one in node_modules, and it is used where the machine's own is older.

import { spawn } from "node:child_process";
import { existsSync, realpathSync } from "node:fs";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";

const NODE_MAJOR = 24;
/**
 * What holds a server's memory to what it needs: by itself V8 lets garbage grow to several times what lives, and a tape
 * of a million events is garbage as soon as it has been read.
 */
const SERVER_HEAP = ["--max-semi-space-size=16", "--heap-growing-percent=100"];
const bundled = fileURLToPath(new URL("../node_modules/node/bin/node", import.meta.url));

const isServer = process.argv[2] === "serve";
const heap = isServer ? SERVER_HEAP : [];

if (Number.parseInt(process.versions.node, 10) < NODE_MAJOR) {
  if (existsSync(bundled) && realpathSync(bundled) !== process.execPath) runWith(bundled);
  else refuse();
} else {
  // Such flags count from the start of a process only: it becomes another, and stays the one that it is to others.
  if (isServer && !process.execArgv.includes(SERVER_HEAP[0])) becomeServer();
  await import("../src/cli/main.ts");
}

/** Replaces this process, where the system can: flags of the one who started it come after, and count. */
function becomeServer() {
  if (process.platform === "win32" || process.execve === undefined) return;
  process.removeAllListeners("warning"); // That the call is young is nothing to tell those who start a server.
  process.execve(process.execPath, [process.execPath, ...heap, ...process.execArgv, ...process.argv.slice(1)]);
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
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => forward(child, signal));
  child.on("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
}

/** A terminal sends its Ctrl-C to the child as well, and a second one would cut the shutdown short. */
function forward(child, signal) {
  const fromTerminal = signal === "SIGINT" && (process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY);
  if (!fromTerminal) child.kill(signal);
}
