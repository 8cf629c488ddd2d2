import { createHash } from "node:crypto";
import { mkdir, realpath, rm } from "node:fs/promises";
import { connect, createServer } from "node:net";
import type { Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The longest path that every platform's unix sockets take. */
const SOCKET_PATH_BYTES_MAX = 100;

export interface DataDirLock {
  release(): Promise<void>;
}

/**
 * Makes sure that one process at a time has the folder open: the embedded database does not, and two would destroy
 * it. The lock is a listening socket, which the operating system closes with its process, however that ends; a file
 * with a process id would outlive a kill -9 and name somebody else's process after a reboot.
 *
 * @throws Error when another process holds it
 */
export async function lockDataDir(dataDir: string): Promise<DataDirLock> {
  await mkdir(dataDir, { recursive: true });
  const path = await socketPath(dataDir);
  if (await isAnswered(path)) throw new Error(`the data folder ${dataDir} is open in another process`);
  await rm(path, { force: true });
  const server = createServer((socket) => socket.destroy());
  await listen(server, path, dataDir);
  server.unref();
  return {
    release: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
      }),
  };
}

async function socketPath(dataDir: string): Promise<string> {
  const absolute = await realpath(dataDir);
  const inside = join(absolute, "lock");
  if (Buffer.byteLength(inside) <= SOCKET_PATH_BYTES_MAX) return inside;
  return join(tmpdir(), `spool-${createHash("sha256").update(absolute).digest("hex").slice(0, 16)}.lock`);
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

function listen(server: Server, path: string, dataDir: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => reject(new Error(`the data folder ${dataDir} cannot be locked`, { cause })));
    server.listen(path, resolve);
  });
}
