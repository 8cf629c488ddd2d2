import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";

const ROOT = join(import.meta.dirname, "..", "..");
const DOOR = /^(gRPC|HTTP) +(\S+)$/;
const START_MS = 120_000;

/** `spool serve` in a process of its own, on a port of 127.0.0.1. Disposing kills it. */
export interface ServerProcess extends AsyncDisposable {
  /** Of the gRPC endpoint. */
  readonly address: string;
  /** Of the HTTP endpoint: where URLs begin. */
  readonly url: string;
  readonly child: ChildProcess;
  /** Sends a signal and waits until the process has ended. @returns its exit code; null where the signal ended it */
  end(signal: NodeJS.Signals): Promise<number | null>;
}

/**
 * Starts a server and waits until it has printed where it listens.
 *
 * @param root the folder of the checkout whose program to run. Default: this checkout
 * @param environment settings, besides ports that are free; nothing of SPOOL_ in this process's own counts
 * @throws Error with what it printed, when it ends first
 */
export async function startServerProcess({
  root = ROOT,
  environment = {},
  args = [],
}: {
  root?: string;
  environment?: Record<string, string>;
  args?: readonly string[];
}): Promise<ServerProcess> {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(SPOOL_|OTEL_|DATABASE_URL$)/.test(name));
  const ours = { SPOOL_PORT: "0", SPOOL_HTTP_PORT: "0", SPOOL_LOG_LEVEL: "warn" };
  const env = { ...Object.fromEntries(inherited), ...ours, ...environment };
  const program = join(root, "bin", "spool.js");
  const child = spawn(process.execPath, [program, "serve", ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
  const ended = once(child, "exit");
  let printed = "";
  child.stderr.on("data", (chunk: Buffer) => (printed += chunk.toString()));
  // A child that is left behind would keep this process open.
  const tooLate = setTimeout(() => child.kill("SIGKILL"), START_MS);
  const endpoints = await Promise.race([
    readEndpoints(child, (line) => (printed += `${line}\n`)),
    ended.then(([code]) => Promise.reject(new Error(`spool serve ended with ${String(code)}:\n${printed}`))),
  ]).finally(() => clearTimeout(tooLate));
  const end = async (signal: NodeJS.Signals) => {
    child.kill(signal);
    const [code] = (await ended) as [number | null];
    return code;
  };
  return {
    address: endpoints.get("gRPC")!,
    url: endpoints.get("HTTP")!,
    child,
    end,
    async [Symbol.asyncDispose]() {
      await end("SIGKILL");
    },
  };
}

/** The endpoints, by their names, as the first lines say before an empty one. */
async function readEndpoints({ stdout }: ChildProcess, onLine: (line: string) => void): Promise<Map<string, string>> {
  const endpoints = new Map<string, string>();
  const all = Promise.withResolvers<void>();
  createInterface({ input: stdout! }).on("line", (line) => {
    onLine(line);
    const [, name, address] = DOOR.exec(line) ?? [];
    if (name !== undefined) endpoints.set(name, address!);
    else all.resolve();
  });
  await all.promise;
  return endpoints;
}
