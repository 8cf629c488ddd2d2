import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startProxyProcess } from "./proxy-process.ts";

/** Starts haproxy. Disposing ends it. @param ports of 127.0.0.1, on which it listens by its configuration */
export async function startHaproxy({
  configuration,
  ports,
}: {
  configuration: string;
  ports: readonly number[];
}): Promise<AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), "spool-haproxy-"));
  const file = join(folder, "haproxy.cfg");
  await writeFile(file, `${configuration}\n`);
  const running = await startProxyProcess("haproxy", { args: ["-db", "-f", file], ports });
  return {
    async [Symbol.asyncDispose]() {
      await running[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
