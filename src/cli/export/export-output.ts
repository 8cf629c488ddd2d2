import { once } from "node:events";
import { open } from "node:fs/promises";
import { UsageError } from "../options/usage-error.ts";

/** Where an export is written. */
export interface ExportOutput {
  write(bytes: Buffer): Promise<void>;
  /** Makes all bytes durable, and closes the file. */
  finish(): Promise<void>;
}

/** Opens a file, and cuts it at a position. Creates the file if it does not exist. @throws UsageError */
export async function openFile(path: string, offset: number): Promise<ExportOutput> {
  const file = await open(path, offset === 0 ? "w" : "r+").catch((error: unknown) => {
    throw new UsageError(`--output: ${(error as Error).message}`, { cause: error });
  });
  await file.truncate(offset);
  let position = offset;
  return {
    async write(bytes) {
      for (let from = 0; from < bytes.length;) {
        const { bytesWritten } = await file.write(bytes, from, bytes.length - from, position);
        from += bytesWritten;
        position += bytesWritten;
      }
    },
    async finish() {
      await file.sync();
      await file.close();
    },
  };
}

/** Returns standard output. */
export function standardOutput(): ExportOutput {
  return {
    async write(bytes) {
      if (!process.stdout.write(bytes)) await once(process.stdout, "drain");
    },
    finish: () => Promise.resolve(),
  };
}
