import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startProxyProcess } from "./proxy-process.ts";

/** Where nginx keeps bodies that it does not hold in memory, by the names of its directives. */
const FOLDERS = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];

/**
 * Starts nginx with its defaults. Disposing ends it.
 *
 * @param http what its `http` block holds besides where it keeps files and that it logs nothing
 * @param ports of 127.0.0.1, on which it listens by that
 */
export async function startNginx({
  http,
  ports,
}: {
  http: string;
  ports: readonly number[];
}): Promise<AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), "spool-nginx-"));
  const file = join(folder, "nginx.conf");
  const paths = FOLDERS.map((name) => `${name}_temp_path ${join(folder, name)};`);
  const settings = [
    "daemon off;",
    `pid ${join(folder, "nginx.pid")};`,
    "error_log stderr warn;",
    "events {}",
    `http {\naccess_log off;\n${paths.join("\n")}\n${http}\n}`,
  ];
  await writeFile(file, settings.join("\n"));
  await chmod(folder, 0o755); // Started by root, its workers are another user's.
  const running = await startProxyProcess("nginx", { args: ["-c", file, "-e", "stderr"], ports });
  return {
    async [Symbol.asyncDispose]() {
      await running[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
