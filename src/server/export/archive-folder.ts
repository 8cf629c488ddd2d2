import { randomBytes } from "node:crypto";
import { open, rename, unlink } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { join, resolve } from "node:path";
import { RemovalArchiveFailed } from "../../engine/api/removal-archive.ts";

/** The end of the names of unfinished files. */
const PARTIAL = ".partial";

/** A file that gets its final name when it is complete. */
export interface NewFile {
  write(bytes: Buffer): Promise<void>;
  /** Makes the file durable under its final name. */
  finish(): Promise<void>;
  /** Deletes the file. Never throws. */
  discard(): Promise<void>;
}

/** A folder of files that appear complete. Several processes may use it. All methods throw RemovalArchiveFailed. */
export class ArchiveFolder {
  readonly #path: string;

  constructor(path: string) {
    this.#path = resolve(path);
  }

  /** Checks that the folder exists and can be written to. */
  async check(): Promise<void> {
    const file = await this.create("check");
    await file.discard();
  }

  /** Creates a file. Its name begins with `prefix`, and has the time and a random part. */
  async create(prefix: string): Promise<NewFile> {
    const time = new Date().toISOString().replace(/[-:]|\.\d+/g, "");
    const path = join(this.#path, `${prefix}-${time}-${randomBytes(6).toString("hex")}.jsonl.zst`);
    const partial = path + PARTIAL;
    const file = await failing(open(partial, "wx"));
    return {
      write: (bytes) => failing(writeAll(file, bytes)),
      finish: () =>
        failing(
          (async () => {
            await file.sync();
            await file.close();
            await rename(partial, path);
            await this.#sync();
          })(),
        ),
      async discard() {
        await file.close().catch(() => {});
        await unlink(partial).catch(() => {});
      },
    };
  }

  /** Makes the names of the folder durable. */
  async #sync(): Promise<void> {
    const folder = await open(this.#path, "r");
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  }
}

async function writeAll(file: FileHandle, bytes: Buffer): Promise<void> {
  for (let from = 0; from < bytes.length;) from += (await file.write(bytes, from)).bytesWritten;
}

async function failing<Result>(work: Promise<Result>): Promise<Result> {
  try {
    return await work;
  } catch (error) {
    throw new RemovalArchiveFailed(error as Error);
  }
}
