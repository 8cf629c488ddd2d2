// `npm run test:clients`: clients that nobody here wrote, and the example in Python, against a real server as `npm start`
// starts it. Installs nothing; says what it needs.

import { spawnSync } from "node:child_process";
import { mkdtempDisposableSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bufCurlSession } from "./buf-curl.ts";
import { startProcess } from "../support/printing-process.ts";
import { requirePrograms } from "../support/require-programs.ts";
import { pythonWorkerSession } from "./python-worker.ts";

const PYTHON = "/usr/bin/python3";

requirePrograms("test:clients", [
  { command: [PYTHON, "-c", "import grpc"], of: "python3-grpcio" },
  { command: ["protoc", "--version"], of: "protobuf-compiler" },
  { command: ["sh", "-c", "command -v grpc_python_plugin"], of: "protobuf-compiler-grpc" },
]);

using folder = mkdtempDisposableSync(join(tmpdir(), "spool-clients-"));
await using server = startProcess("npm", {
  args: ["start"],
  environment: {
    SPOOL_PORT: "0",
    SPOOL_HTTP_PORT: "off",
    SPOOL_DATA_DIR: join(folder.path, "data"),
    SPOOL_LOG_LEVEL: "warn",
    SPOOL_CANCEL_GRACE_MS: "600000", // A cancelled task ends when its code does, and by nothing else.
  },
});
const [address] = await server.next(/127\.0\.0\.1:\d+/);

const descriptors = join(folder.path, "spool.binpb");
run("buf", ["build", "--as-file-descriptor-set", "-o", descriptors]);
run(PYTHON, [join(import.meta.dirname, "caller.py"), address, descriptors]);
bufCurlSession(address);
run("buf", ["generate", "--template", "examples/worker-python/buf.gen.yaml"]);
await pythonWorkerSession(address, PYTHON);
console.log("test:clients: ok");

function run(command: string, args: readonly string[]): void {
  const { status } = spawnSync(command, args, { stdio: "inherit" });
  if (status !== 0) throw new Error(`${command} ended with ${status}`);
}
