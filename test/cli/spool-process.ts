import { spawn } from "node:child_process";
import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

const BIN = join(import.meta.dirname, "../../bin/spool.js");

export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** The command, as a process of its own. */
export interface SpoolProcess {
  readonly child: ChildProcessWithoutNullStreams;
  readonly ended: Promise<Ended>;
  /** What it has said so far. */
  readonly said: Readonly<Record<"stdout" | "stderr", string>>;
  /** Resolves when standard output or error holds the text. */
  says(text: string): Promise<void>;
}

export interface SpawnOptions {
  /** Instead of this process's SPOOL_ variables, of which none is passed on. */
  environment?: Record<string, string>;
  input?: string;
}

export function spawnSpool(words: readonly string[], { environment = {}, input }: SpawnOptions = {}): SpoolProcess {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(SPOOL_|DATABASE_URL|NO_COLOR|FORCE_)/.test(name),
  );
  const env = { ...Object.fromEntries(inherited), SPOOL_HTTP_PORT: "0", ...environment };
  const child = spawn(process.execPath, [BIN, ...words], { env });
  const said = { stdout: "", stderr: "" };
  const waiting = new Set<() => void>();
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (text: string) => {
      said[name] += text;
      for (const check of waiting) check();
    });
  }
  child.stdin.on("error", () => {}).end(input);
  const ended = once(child, "close").then(([code]: (number | null)[]) => ({ code: code ?? null, ...said }));
  return {
    child,
    ended,
    said,
    async says(text) {
      const heard = new Promise<void>((resolve) => {
        const check = () => {
          if (!said.stdout.includes(text) && !said.stderr.includes(text)) return;
          waiting.delete(check);
          resolve();
        };
        waiting.add(check);
        check();
      });
      const gone = ended.then(({ stdout, stderr }) => {
        if (!stdout.includes(text) && !stderr.includes(text)) {
          throw new Error(`ended without saying ${JSON.stringify(text)}: ${stdout}${stderr}`);
        }
      });
      await Promise.race([heard, gone]);
    },
  };
}

/** Runs the command to its end. */
export async function runSpool(words: readonly string[], options?: SpawnOptions): Promise<Ended> {
  return await spawnSpool(words, options).ended;
}
