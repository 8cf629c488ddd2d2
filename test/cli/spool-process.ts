import { spawn } from "node:child_process";
import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

const BIN = join(import.meta.dirname, "../../bin/spool.js");
/** A folder without contexts: those of the user do not change a test. */
const NO_CONTEXTS = join(import.meta.dirname, "no-contexts");

export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** A `spool` command that runs in its own process. */
export interface SpoolProcess {
  readonly child: ChildProcessWithoutNullStreams;
  readonly ended: Promise<Ended>;
  /** The output so far. */
  readonly output: Readonly<Record<"stdout" | "stderr", string>>;
  /** Resolves when standard output or standard error contains the text; rejects if the process ends without it. */
  waitForOutput(text: string): Promise<void>;
}

export interface SpawnOptions {
  /** Replaces the SPOOL_ variables of this process, which the command does not inherit. */
  environment?: Record<string, string>;
  input?: string;
}

export function spawnSpool(words: readonly string[], { environment = {}, input }: SpawnOptions = {}): SpoolProcess {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(SPOOL_|DATABASE_URL|NO_COLOR|FORCE_)/.test(name),
  );
  const env = { ...Object.fromEntries(inherited), SPOOL_HTTP_PORT: "0", XDG_CONFIG_HOME: NO_CONTEXTS, ...environment };
  const child = spawn(process.execPath, [BIN, ...words], { env });
  const output = { stdout: "", stderr: "" };
  const waiting = new Set<() => void>();
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (text: string) => {
      output[name] += text;
      for (const check of waiting) check();
    });
  }
  child.stdin.on("error", () => {}).end(input);
  const ended = once(child, "close").then(([code]: (number | null)[]) => ({ code: code ?? null, ...output }));
  return {
    child,
    ended,
    output,
    async waitForOutput(text) {
      const printed = new Promise<void>((resolve) => {
        const check = () => {
          if (!output.stdout.includes(text) && !output.stderr.includes(text)) return;
          waiting.delete(check);
          resolve();
        };
        waiting.add(check);
        check();
      });
      const exited = ended.then(({ stdout, stderr }) => {
        if (!stdout.includes(text) && !stderr.includes(text)) {
          throw new Error(`ended without printing ${JSON.stringify(text)}: ${stdout}${stderr}`);
        }
      });
      await Promise.race([printed, exited]);
    },
  };
}

/** Runs the command until it ends. */
export async function runSpool(words: readonly string[], options?: SpawnOptions): Promise<Ended> {
  return await spawnSpool(words, options).ended;
}
