import { join } from "node:path";
import { startProcess } from "../../support/printing-process.ts";
import type { PrintingProcess } from "../../support/printing-process.ts";
import { addProject, install, nodeOf, TARBALLS } from "./installed.ts";

/** An installed server with the kinds of a user. */
export interface InstalledServer extends AsyncDisposable {
  readonly folder: string;
  readonly address: string;
  readonly url: string;
}

/** The kinds that the server runs, one in TypeScript and one in JavaScript. */
const KIND_FILES = ["kinds.ts", "plain-kinds.js"];

let installed: Promise<string> | undefined;

/** Returns the folder with the server and the client installed, for all tests. */
export function installedServer(): Promise<string> {
  installed ??= install(TARBALLS.server, TARBALLS.client).then((folder) => {
    addProject(folder, KIND_FILES);
    return folder;
  });
  return installed;
}

export async function startInstalledServer(): Promise<InstalledServer> {
  const folder = await installedServer();
  const node = await nodeOf(24);
  const spool = join(folder, "node_modules", ".bin", "spool");
  const kinds = KIND_FILES.flatMap((file) => ["--kinds", join(folder, file)]);
  const environment = { SPOOL_PORT: "0", SPOOL_HTTP_PORT: "0", SPOOL_DATA_DIR: join(folder, "data") };
  const server: PrintingProcess = startProcess(node, { args: [spool, "serve", ...kinds], environment });
  const [, address = ""] = await server.next(/^gRPC +(\S+)$/);
  const [, url = ""] = await server.next(/^HTTP +(\S+)$/);
  return {
    folder,
    address,
    url,
    async [Symbol.asyncDispose]() {
      server.signal("SIGTERM");
      await server.ended;
      await server[Symbol.asyncDispose]();
    },
  };
}
