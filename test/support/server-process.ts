import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";

const PROGRAM = join(import.meta.dirname, "..", "..", "bin", "spool.js");
const ADDRESS = /127\.0\.0\.1:\d+/;
const START_MS = 30_000;

/** `spool serve` in a process of its own, on a port of 127.0.0.1. Disposing kills it. */
export interface ServerProcess extends AsyncDisposable {
  readonly address: string;
  readonly child: ChildProcess;
  /** Sends a signal and waits until the process has ended. @returns its exit code; null where the signal ended it */
  end(signal: NodeJS.Signals): Promise<number | null>;
}

/**
 * Starts a server and waits until it has printed where it listens.
 *
 * @param environment settings, besides a port that is free; nothing of SPOOL_ in this process's own counts
 * @throws Error with what it printed, when it ends first
 */
export async function startServerProcess({
  environment = {},
  args = [],
}: {
  environment?: Record<string, string>;
  args?: readonly string[];
}): Promise<ServerProcess> {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(SPOOL_|DATABASE_URL$)/.test(name));
  const env = { ...Object.fromEntries(inherited), SPOOL_PORT: "0", SPOOL_LOG_LEVEL: "warn", ...environment };
  const child = spawn(process.execPath, [PROGRAM, "serve", ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
  const ended = once(child, "exit");
  let printed = "";
  child.stderr.on("data", (chunk: Buffer) => (printed += chunk.toString()));
  const address = await Promise.race([
    readAddress(child, (line) => (printed += `${line}\n`)),
    ended.then(([code]) => Promise.reject(new Error(`spool serve ended with ${String(code)}:\n${printed}`))),
    new Promise<never>((_, reject) => {
      setTimeout(() => reject(new Error(`spool serve did not start:\n${printed}`)), START_MS).unref();
    }),
  ]);
  const end = async (signal: NodeJS.Signals) => {
    child.kill(signal);
    const [code] = (await ended) as [number | null];
    return code;
  };
  return {
    address,
    child,
    end,
    async [Symbol.asyncDispose]() {
      await end("SIGKILL");
    },
  };
}

async function readAddress({ stdout }: ChildProcess, onLine: (line: string) => void): Promise<string> {
  const found = Promise.withResolvers<string>();
  createInterface({ input: stdout! }).on("line", (line) => {
    onLine(line);
    const address = ADDRESS.exec(line)?.[0];
    if (address !== undefined) found.resolve(address);
  });
  return found.promise;
}
