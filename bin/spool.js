#!/usr/bin/env node
// Plain JavaScript, because an older Node must be able to read it: Spool itself is TypeScript, run as it is,
// and that takes Node 24. A checkout brings one in node_modules, and it is used where the machine's own is older.

import { spawn } from "node:child_process";
import { existsSync, realpathSync } from "node:fs";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";

const NODE_MAJOR = 24;
const bundled = fileURLToPath(new URL("../node_modules/node/bin/node", import.meta.url));

if (Number.parseInt(process.versions.node, 10) >= NODE_MAJOR) {
  await import("../src/cli/main.ts");
} else if (existsSync(bundled) && realpathSync(bundled) !== process.execPath) {
  runWith(bundled);
} else {
  console.error(
    `spool needs Node ${NODE_MAJOR} or newer; this is Node ${process.versions.node} (${process.execPath}).`,
  );
  process.exitCode = 1;
}

/** Runs this same command with another Node, and ends as that one ends. */
function runWith(node) {
  const child = spawn(node, process.argv.slice(1), { stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => forward(child, signal));
  child.on("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
}

/** A terminal sends its Ctrl-C to the child as well, and a second one would cut the shutdown short. */
function forward(child, signal) {
  const fromTerminal = signal === "SIGINT" && (process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY);
  if (!fromTerminal) child.kill(signal);
}
