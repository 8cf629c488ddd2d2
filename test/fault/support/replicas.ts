import { join } from "node:path";
import { connect } from "../../../src/client/client.ts";
import type { SpoolClient } from "../../../src/client/client.ts";
import { eventually } from "../../support/eventually.ts";
import { freePort } from "../../support/free-port.ts";
import { startServerProcess } from "../../support/server-process.ts";
import type { ServerProcess } from "../../support/server-process.ts";

const ROOT = join(import.meta.dirname, "..", "..", "..");
const KINDS = join("test", "fault", "support", "kinds.ts");

/** What must be known of a server before its kill, that `startServerProcess` gives. */
export interface Replica {
  /** `127.0.0.1:port`, the same after a restart. */
  readonly address: string;
  readonly client: SpoolClient;
  /** null while it is down. */
  readonly pid: number | null;
  /** Kills it with SIGKILL and waits until it is gone. */
  kill(): Promise<void>;
  /** Sends SIGTERM, which stops it in order, and waits until it is gone. @returns its exit code; null: it was down */
  stop(): Promise<number | null>;
  /** Sends SIGSTOP or SIGCONT. */
  signal(signal: NodeJS.Signals): void;
  /** Starts it again, on the same port. */
  restart(): Promise<void>;
}

/** Replicas of one service. Disposing kills them. */
export type Replicas = readonly Replica[] & AsyncDisposable;

/**
 * Starts server processes on one database, all at once, each on a port that it keeps over its restarts, with the kinds
 * of the fault scenarios and those in `kinds`. What they log as an error is printed.
 *
 * @param root the folder of the checkout whose program to run. Default: this checkout
 * @param retryMs how long their clients try again; 0: each failure is the scenario's
 * @param onLog receives what the servers write to their standard error. Default: this process prints it
 */
export async function startReplicas({
  root = ROOT,
  count,
  databaseUrl,
  environment = {},
  kinds = [],
  retryMs,
  heartbeatMs,
  onLog = (chunk) => void process.stderr.write(chunk),
}: {
  root?: string;
  count: number;
  databaseUrl: string;
  environment?: Record<string, string>;
  kinds?: readonly string[];
  retryMs?: number;
  heartbeatMs?: number;
  onLog?: (chunk: Buffer) => void;
}): Promise<Replicas> {
  const args = [join(root, KINDS), ...kinds].flatMap((file) => ["--kinds", file]);
  // Tapes are packed as soon as their tasks have ended: packing must stand every fault, too.
  const packing = { SPOOL_PACK_AFTER: "0" };
  const settings = { SPOOL_LOG_LEVEL: "error", SPOOL_DATABASE_URL: databaseUrl, ...packing, ...environment };
  await using started = new AsyncDisposableStack();
  const replicas = await Promise.all(
    Array.from({ length: count }, async () => {
      const port = await freePort();
      const replica = new ServerReplica(
        port,
        { root, args, environment: { ...settings, SPOOL_PORT: `${port}`, SPOOL_HTTP_PORT: "off" } },
        { retryMs, heartbeatMs, onLog },
      );
      started.use(replica);
      await replica.restart();
      return replica;
    }),
  );
  const running = started.move();
  return Object.assign(replicas, { [Symbol.asyncDispose]: () => running.disposeAsync() });
}

/**
 * Waits until each replica runs what is started there at once: a server that has just begun first looks for older
 * tasks. Leaves a short task for each try, of the kind echo.
 */
export async function untilReady(replicas: readonly Replica[]): Promise<void> {
  const check = async ({ client }: Replica) => {
    const { task } = await client.start({ kind: "echo", params: { count: 0 } });
    if (task.status !== "running") throw new Error(`the task is ${task.status}`);
  };
  await Promise.all(replicas.map((replica) => eventually(() => check(replica), { describe: "a start runs at once" })));
}

class ServerReplica implements Replica, AsyncDisposable {
  readonly address: string;
  readonly client: SpoolClient;
  readonly #options: Parameters<typeof startServerProcess>[0];
  readonly #onLog: (chunk: Buffer) => void;
  #server: ServerProcess | null = null;
  /** Nothing is left behind where there is no time to dispose. */
  readonly #onExit = () => this.#server?.child.kill("SIGKILL");

  constructor(
    port: number,
    options: Parameters<typeof startServerProcess>[0],
    {
      retryMs,
      heartbeatMs,
      onLog,
    }: { retryMs: number | undefined; heartbeatMs: number | undefined; onLog: (chunk: Buffer) => void },
  ) {
    this.#options = options;
    this.#onLog = onLog;
    this.address = `127.0.0.1:${port}`;
    this.client = connect({ address: this.address, retryMs, heartbeatMs });
    process.on("exit", this.#onExit);
  }

  get pid(): number | null {
    return this.#server?.child.pid ?? null;
  }

  async restart(): Promise<void> {
    this.#server = await startServerProcess(this.#options);
    this.#server.child.stderr!.on("data", this.#onLog);
  }

  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  stop(): Promise<number | null> {
    return this.#end("SIGTERM");
  }

  signal(signal: NodeJS.Signals): void {
    this.#server?.child.kill(signal);
  }

  async #end(signal: NodeJS.Signals): Promise<number | null> {
    const server = this.#server;
    this.#server = null;
    return server === null ? null : server.end(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client.close();
    await this.kill();
    process.off("exit", this.#onExit);
  }
}
