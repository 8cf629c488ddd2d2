import { execFile, spawnSync } from "node:child_process";
import { mkdtempDisposable, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";
import { runSpool } from "../spool-process.ts";

const BIN = join(import.meta.dirname, "../../../bin/spool.js");
const run = promisify(execFile);

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/** A shell with the completion script of `spool`. */
export interface CompletingShell extends AsyncDisposable {
  /** Presses Tab at the end of each line. @returns the completions of each line; of zsh, all words that it shows */
  complete(lines: readonly string[], environment?: Record<string, string>): Promise<string[][]>;
}

export function isInstalled(shell: Shell): boolean {
  return spawnSync(shell, ["-c", "exit 0"]).status === 0;
}

/** Writes the completion script of a shell to a file, and puts `spool` on the PATH. */
export async function openShell(shell: Shell): Promise<CompletingShell> {
  const folder = await mkdtempDisposable(join(tmpdir(), "spool-completion-"));
  const script = join(folder.path, "_spool"); // The name by which zsh finds a script in $fpath.
  const { stdout, stderr, code } = await runSpool(["completion", shell]);
  if (code !== 0) throw new Error(stderr);
  await writeFile(script, stdout);
  await symlink(BIN, join(folder.path, "spool"));
  const path = [folder.path, dirname(process.execPath), process.env["PATH"]].join(delimiter);
  const options = { bash: ["--norc", "--noprofile"], zsh: ["-f"], fish: ["--no-config"] }[shell];
  const driver = join(import.meta.dirname, `complete.${shell}`);
  return {
    async complete(lines, environment = {}) {
      const env = { PATH: path, HOME: folder.path, TERM: "dumb", LC_ALL: "C.UTF-8", ...environment };
      const printed = await run(shell, [...options, driver, script, ...lines], { env, timeout: 60_000 });
      if (printed.stderr !== "") throw new Error(printed.stderr);
      return printed.stdout
        .split("\n")
        .slice(0, -1)
        .map((line) => line.split(/\s+/).filter(Boolean));
    },
    [Symbol.asyncDispose]: () => folder.remove(),
  };
}
