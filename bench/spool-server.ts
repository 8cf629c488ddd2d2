import { spawn } from "node:child_process";
import { open } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { connect } from "../src/client/client.ts";
import { freePort } from "../test/support/free-port.ts";
import { keep } from "./children.ts";
import { burst } from "./kinds.ts";

/** `spool serve`, with the kinds of the benchmark. */
export interface SpoolServer extends AsyncDisposable {
  readonly address: string;
  readonly pid: number;
}

const START_TIMEOUT_MS = 60_000;
const LOOPBACK = "127.0.0.1";

export interface SpoolOptions {
  /** Where it leaves a CPU profile when it stops; undefined: it takes none. */
  profileDir?: string | undefined;
  /** Settings besides those of every server of the benchmark. */
  settings?: Readonly<Record<string, string>>;
  /** A file that takes its log; undefined: the benchmark's own errors do. */
  logFile?: string | undefined;
  /** A token that the server accepts; undefined: it needs none. */
  token?: string | undefined;
  /** The address that it listens on; undefined: 127.0.0.1. */
  host?: string | undefined;
}

/** Starts the server as its users do, and with its defaults, but for a log of warnings alone and no HTTP endpoint. */
export async function startSpool(
  databaseUrl: string,
  { profileDir, settings = {}, logFile, token, host = LOOPBACK }: SpoolOptions = {},
): Promise<SpoolServer> {
  const port = await freePort();
  const address = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
  const profiling = profileDir === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profileDir}`];
  const kinds = fileURLToPath(import.meta.resolve("./kinds.ts"));
  const command = [fileURLToPath(import.meta.resolve("../bin/spool.js")), "serve", "--kinds", kinds];
  const log = logFile === undefined ? null : await open(logFile, "w");
  const program = spawn(process.execPath, [...profiling, ...command], {
    stdio: ["ignore", "ignore", log?.fd ?? "inherit"],
    env: {
      ...withoutSettings(process.env),
      SPOOL_DATABASE_URL: databaseUrl,
      SPOOL_PORT: `${port}`,
      SPOOL_HTTP_PORT: "off",
      SPOOL_LOG_LEVEL: "warn",
      ...(host !== LOOPBACK && { SPOOL_HOST: host }),
      ...settings,
    },
  });
  await log?.close(); // The program has its own.
  await using starting = new AsyncDisposableStack();
  const child = starting.use(keep(program, "spool serve"));
  using client = connect({ address, token, retryMs: START_TIMEOUT_MS });
  // A start is answered UNAVAILABLE, and so sent again, until the schema is there.
  await Promise.race([client.start({ kind: burst.name, params: { events: 0 } }), child.failed]);
  const started = starting.move();
  return { address, pid: child.pid, [Symbol.asyncDispose]: () => started.disposeAsync() };
}

/** What this shell says of another server must not reach the one that is measured. */
export function withoutSettings(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = Object.entries(environment).filter(([name]) => !/^(SPOOL_|OTEL_|DATABASE_URL$)/.test(name));
  return Object.fromEntries(kept);
}
