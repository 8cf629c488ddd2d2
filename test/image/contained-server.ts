import { execFile, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { promisify } from "node:util";
import { freePort } from "../support/free-port.ts";
import type { MountedImage } from "./mounted-image.ts";

const START_MS = 60_000;

/** A server out of an image, as process 1 of a namespace, with no writable file besides the folder that is mounted. */
export interface ContainedServer extends AsyncDisposable {
  readonly address: string;
  /** What it has printed so far, both streams. */
  output(): string;
  /** Runs the health check that the image has. @returns its exit code and output */
  checkHealth(): Promise<{ code: number; output: string }>;
  /** Returns the ids of all processes in the container. */
  processes(): string[];
  /** Returns the name of each mounted file system that the server may write to, and the ids that it runs with. */
  rights(): { writable: string[]; uid: string; capabilities: string };
  /** Sends the signal to process 1, as a platform does to stop it. @returns the exit code */
  stop(signal: string): Promise<number | null>;
}

/**
 * Starts the image and waits until the server prints where it listens.
 *
 * @param data a folder to mount at /data; none: nothing can be written
 */
export async function startContained(
  { root, config }: MountedImage,
  { environment, data }: { environment: Record<string, string>; data?: string },
): Promise<ContainedServer> {
  const port = await freePort();
  const [uid, gid] = config.User.split(":") as [string, string];
  const asUser = ["--setuid", uid, "--setgid", gid, "--root", root, "--wd", "/app"];
  const env = {
    ...Object.fromEntries(config.Env.map((line) => line.split(/=(.*)/s).slice(0, 2) as [string, string])),
    SPOOL_PORT: String(port),
    SPOOL_HTTP_PORT: String(await freePort()),
    ...environment,
  };
  // unshare changes the root before it mounts /proc. These mounts are seen by the container only; every platform has /dev.
  const mounts = [`mount --rbind /dev "${root}/dev"`, data && `mount --bind "${data}" "${root}/data"`].filter(Boolean);
  const container = `${mounts.join(" && ")} && exec unshare --pid --fork --kill-child --mount-proc=/proc "$@"`;
  const child = spawn(
    "unshare",
    ["--mount", "sh", "-c", container, "sh", ...asUser, ...config.Entrypoint, ...config.Cmd],
    { env: { ...env, PATH: `${env["PATH" as keyof typeof env]}:/usr/sbin:/sbin` }, stdio: ["ignore", "pipe", "pipe"] },
  );
  const ended = once(child, "exit") as Promise<[number | null]>;
  let printed = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (text: Buffer) => (printed += text.toString()));
  const tooLate = setTimeout(() => child.kill("SIGKILL"), START_MS);
  const listens = Promise.withResolvers<void>();
  child.stdout.on("data", () => {
    if (printed.includes("Press Ctrl-C to stop.")) listens.resolve();
  });
  await Promise.race([
    listens.promise,
    ended.then(([code]) => Promise.reject(new Error(`the server ended with ${code}:\n${printed}`))),
  ]).finally(() => clearTimeout(tooLate));
  const init = childOf(child);
  return {
    address: `127.0.0.1:${port}`,
    output: () => printed,
    async checkHealth() {
      const [, ...command] = config.Healthcheck.Test;
      const into = ["--target", String(init), "--mount", "--pid", "--setuid", uid, "--setgid", gid];
      const place = [`--root=/proc/${init}/root`, ...command];
      try {
        const { stdout } = await promisify(execFile)("nsenter", [...into, ...place], { env });
        return { code: 0, output: stdout };
      } catch (error) {
        const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
        return { code, output: stdout + stderr };
      }
    },
    processes: () => readdirSync(`/proc/${init}/root/proc`).filter((name) => /^\d+$/.test(name)),
    rights() {
      const status = readFileSync(`/proc/${init}/status`, "utf8");
      const read = (name: string) => new RegExp(`^${name}:\\s+(.*)$`, "m").exec(status)![1]!;
      const inRoot = readFileSync(`/proc/${init}/mountinfo`, "utf8").trim().split("\n").map(readMount);
      const kept = inRoot.filter(({ place }) => !/^\/(dev|proc)(\/|$)/.test(place));
      return {
        writable: kept.filter(({ isWritable }) => isWritable).map(({ place }) => place),
        uid: read("Uid"),
        capabilities: read("CapEff"),
      };
    },
    async stop(signal) {
      process.kill(init, signal);
      return (await ended)[0];
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL"); // With --kill-child, the container ends too.
      if (child.exitCode === null && child.signalCode === null) await ended;
    },
  };
}

/** Returns the only child of a process. */
function childOf({ pid }: ChildProcess): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim());
}

function readMount(line: string): { place: string; isWritable: boolean } {
  const [, , , , place, options] = line.split(" ");
  return { place: place!, isWritable: options!.split(",").includes("rw") };
}
