// `npm run test:clients`: clients that nobody here wrote, against a real server on the embedded database. Installs
// nothing; says what it needs.

import { spawnSync } from "node:child_process";
import { mkdtempDisposableSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startServerProcess } from "../support/server-process.ts";
import { bufCurlSession } from "./buf-curl.ts";

const PYTHON = "/usr/bin/python3";

if (spawnSync(PYTHON, ["-c", "import grpc"]).status !== 0) {
  console.error(`npm run test:clients needs Python's gRPC for ${PYTHON}: apt-get install python3-grpcio`);
  process.exit(2);
}

using folder = mkdtempDisposableSync(join(tmpdir(), "spool-clients-"));
await using server = await startServerProcess({ environment: { SPOOL_DATA_DIR: join(folder.path, "data") } });

const descriptors = join(folder.path, "spool.binpb");
run("buf", ["build", "--as-file-descriptor-set", "-o", descriptors]);
run(PYTHON, [join(import.meta.dirname, "caller.py"), server.address, descriptors]);
bufCurlSession(server.address);
console.log("test:clients: ok");

function run(command: string, args: readonly string[]): void {
  const { status } = spawnSync(command, args, { stdio: "inherit" });
  if (status !== 0) throw new Error(`${command} ended with ${status}`);
}
