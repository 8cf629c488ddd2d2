import { createHash } from "node:crypto";
import { mkdir, realpath, rename, rm } from "node:fs/promises";
import { connect, createServer } from "node:net";
import type { Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The longest path that every platform's unix sockets take. */
const SOCKET_PATH_BYTES_MAX = 100;

/** Another process has the folder open. */
export class DataDirInUse extends Error {
  constructor(dataDir: string) {
    super(`the data folder ${dataDir} is open in another process`);
    this.name = "DataDirInUse";
  }
}

export interface DataDirLock {
  release(): Promise<void>;
}

/**
 * Makes sure that one process at a time has the folder open: the embedded database does not, and two would destroy
 * it. The lock is a listening socket, which the operating system closes with its process, however that ends; a file
 * with a process id would outlive a kill -9 and name an unrelated process after a reboot.
 *
 * @throws DataDirInUse
 */
export async function lockDataDir(dataDir: string): Promise<DataDirLock> {
  await mkdir(dataDir, { recursive: true });
  const path = await socketPath(dataDir);
  const server = (await listen(path)) ?? ((await removeDead(path)) ? await listen(path) : null);
  if (server === null) throw new DataDirInUse(dataDir);
  server.unref();
  return { release: () => new Promise((resolve) => server.close(() => resolve())) };
}

/**
 * Removes the socket of a process that is gone. It is moved aside first, which one process alone can do, and looked at
 * there: another that came in between and listens gets its own back.
 *
 * @returns whether the path is free
 */
async function removeDead(path: string): Promise<boolean> {
  if (await isAnswered(path)) return false;
  const aside = `${path}.${crypto.randomUUID().slice(0, 8)}`;
  try {
    await rename(path, aside);
  } catch {
    return true; // Another process was faster: the first to listen holds the lock.
  }
  if (await isAnswered(aside)) {
    await rename(aside, path);
    return false;
  }
  await rm(aside, { force: true });
  return true;
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

/** @returns null where the path is taken */
function listen(path: string): Promise<Server | null> {
  const server = createServer((socket) => socket.destroy());
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) =>
      error.code === "EADDRINUSE" ? resolve(null) : reject(error),
    );
    server.listen(path, () => resolve(server));
  });
}
