import { createHash } from "node:crypto";
import { mkdir, realpath, rename, rm } from "node:fs/promises";
import { connect, createServer } from "node:net";
import type { Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The longest path of a Unix socket that works on every platform. */
const SOCKET_PATH_BYTES_MAX = 100;

/** Error for a data folder that another process has open. */
export class DataDirInUse extends Error {
  constructor(dataDir: string) {
    super(`the data folder ${dataDir} is open in another process`);
    this.name = "DataDirInUse";
  }
}

/** The lock of a data folder, until it is released. */
export interface DataDirLock {
  release(): Promise<void>;
}

/**
 * Locks a data folder, so that only one process at a time has it open. The embedded database has no such lock, and two
 * processes would destroy the data.
 *
 * The lock is a listening socket. The operating system closes the socket when the process ends, even after a crash. A
 * file with a process id would survive `kill -9`, and after a reboot it would name an unrelated process.
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
 * Removes the socket of a process that has ended. The socket is renamed first, which only one process can do, and then
 * checked again under its new name. If another process began to listen in between, its socket is moved back.
 *
 * @returns whether the path is free
 */
async function removeDead(path: string): Promise<boolean> {
  if (await isAnswered(path)) return false;
  const aside = `${path}.${crypto.randomUUID().slice(0, 8)}`;
  try {
    await rename(path, aside);
  } catch {
    return true; // Another process renamed the socket first. The first process to listen gets the lock.
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

/** Listens on a path. @returns null if the path is taken */
function listen(path: string): Promise<Server | null> {
  const server = createServer((socket) => socket.destroy());
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) =>
      error.code === "EADDRINUSE" ? resolve(null) : reject(error),
    );
    server.listen(path, () => resolve(server));
  });
}
