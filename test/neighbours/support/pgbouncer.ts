import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../../support/free-port.ts";
import { startProcess } from "../../support/printing-process.ts";

/** One before a database, as docs/operating.md wants it but for its mode. Disposing ends it. */
export interface Pgbouncer extends AsyncDisposable {
  /** The way to the database through it. */
  readonly url: string;
}

export async function startPgbouncer(databaseUrl: string, mode: "session" | "transaction"): Promise<Pgbouncer> {
  const folder = await mkdtemp(join(tmpdir(), "spool-pgbouncer-"));
  const { hostname, port, username, pathname } = new URL(databaseUrl);
  const listenPort = await freePort();
  const file = join(folder, "pgbouncer.ini");
  const settings = [
    "[databases]",
    `* = host=${hostname} port=${port} user=${username}`,
    "[pgbouncer]",
    "listen_addr = 127.0.0.1",
    `listen_port = ${listenPort}`,
    "unix_socket_dir =",
    "auth_type = any",
    `pool_mode = ${mode}`,
  ];
  await writeFile(file, settings.join("\n"));
  await chmod(folder, 0o755);
  const args = process.getuid?.() === 0 ? ["--user", "nobody", file] : [file]; // It refuses to run as root.
  const pooler = startProcess("pgbouncer", { args, environment: {} });
  await pooler.next(/process up/);
  return {
    url: `postgres://${username}@127.0.0.1:${listenPort}${pathname}`,
    async [Symbol.asyncDispose]() {
      await pooler[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
