import { fork, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { connect } from "../src/client/client.ts";
import { burst } from "./kinds.ts";
import { startServer } from "../test/support/postgres.ts";

/** What the measures are taken of: each a process of its own, on this machine. */
export interface Servers extends AsyncDisposable {
  postgresVersion: string;
  /** A database without Spool, on the same Postgres. */
  bareDatabaseUrl: string;
  /** `spool serve` with the kinds of the benchmark, on the Postgres. */
  spoolAddress: string;
  /** grpc-js with nothing behind it. */
  bareAddress: string;
}

const START_TIMEOUT_MS = 20_000;

/** @param profileDir where the Spool server leaves a CPU profile when it stops; undefined: it takes none */
export async function startServers({ profileDir }: { profileDir?: string | undefined }): Promise<Servers> {
  await using started = new AsyncDisposableStack();
  const postgres = started.use(await startServer());
  const spool = started.use(await startSpool(await createDatabase(postgres.url, "spool"), profileDir));
  const bare = started.use(await startBare());
  const servers = {
    postgresVersion: await readVersion(postgres.url),
    bareDatabaseUrl: await createDatabase(postgres.url, "bare"),
    spoolAddress: spool.address,
    bareAddress: bare.address,
  };
  const running = started.move();
  return { ...servers, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

/** The server as its users start it, and with its defaults. */
async function startSpool(databaseUrl: string, profileDir: string | undefined) {
  const port = await freePort();
  const address = `127.0.0.1:${port}`;
  const profiling = profileDir === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profileDir}`];
  const kinds = fileURLToPath(import.meta.resolve("./kinds.ts"));
  const command = [fileURLToPath(import.meta.resolve("../bin/spool.js")), "serve", "--kinds", kinds];
  const child = spawn(process.execPath, [...profiling, ...command], {
    stdio: ["ignore", "ignore", "inherit"],
    env: {
      ...withoutSettings(process.env),
      SPOOL_DATABASE_URL: databaseUrl,
      SPOOL_PORT: `${port}`,
      SPOOL_LOG_LEVEL: "warn",
    },
  });
  const ended = once(child, "exit");
  process.once("exit", () => child.kill("SIGTERM")); // Nothing is left behind where there is no time to dispose.
  const client = connect({ address, retryMs: START_TIMEOUT_MS });
  const early = ended.then(([code]) => Promise.reject(new Error(`spool serve ended with ${code} before it served`)));
  try {
    // A start is answered UNAVAILABLE, and so sent again, until the schema is there.
    await Promise.race([client.start({ kind: burst.name, params: { events: 0 } }), early]);
  } finally {
    client.close();
    early.catch(() => {}); // From here on it is meant to end.
  }
  return { address, [Symbol.asyncDispose]: () => stop(child, ended) };
}

async function startBare() {
  const child = fork(fileURLToPath(import.meta.resolve("./bare-server.ts")), { execArgv: [] });
  const ended = once(child, "exit");
  const [port] = (await once(child, "message")) as [number];
  return { address: `127.0.0.1:${port}`, [Symbol.asyncDispose]: () => stop(child, ended) };
}

async function stop(child: ChildProcess, ended: Promise<unknown>): Promise<void> {
  child.kill("SIGTERM");
  await ended;
}

/** What this shell says of another server must not reach the one that is measured. */
function withoutSettings(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = Object.entries(environment).filter(([name]) => !/^(SPOOL_|DATABASE_URL$)/.test(name));
  return Object.fromEntries(kept);
}

async function freePort(): Promise<number> {
  const listener = createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as AddressInfo;
  listener.close();
  await once(listener, "close");
  return port;
}

/** @returns its URL */
async function createDatabase(serverUrl: string, name: string): Promise<string> {
  await query(serverUrl, `create database ${name}`);
  const url = new URL(serverUrl);
  url.pathname = name;
  return url.href;
}

async function readVersion(url: string): Promise<string> {
  const [row] = await query(url, "show server_version");
  return row!["server_version"]!;
}

async function query(url: string, text: string): Promise<Record<string, string>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, string>>(text)).rows;
  } finally {
    await client.end();
  }
}
