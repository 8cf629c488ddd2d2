import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";

/** Runs a command to its end. Its output goes to this process. @throws Error if it fails */
export function run(command: string, args: readonly string[]): void {
  const { status, error } = spawnSync(command, args, { stdio: ["ignore", "inherit", "inherit"] });
  if (status !== 0) throw new Error(`${command} ended with ${status}`, { cause: error });
}

/** No command takes nearly as long. */
const TIMEOUT_MS = 5 * 60_000;

/** Runs a command beside others. Its output is part of the error if it fails, or does not end. */
export async function runQuietly(
  command: string,
  args: readonly string[],
  environment: Record<string, string> = {},
): Promise<void> {
  const env = { ...process.env, ...environment };
  const child = spawn(command, args, {
    env,
    stdio: ["ignore", "pipe", "pipe"],
    timeout: TIMEOUT_MS,
    killSignal: "SIGKILL",
  });
  const [out, errors] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  if (child.exitCode !== 0)
    throw new Error(`${command} ended with ${child.exitCode ?? child.signalCode}\n${out}${errors}`);
}
