// `npm run test:clients`: the Python package as a user installs it, and clients that share no code with Spool, against a
// real server as `npm start` starts it. Installs nothing in the system; says what it needs.

import { mkdtempDisposableSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeCertificate } from "../support/certificates.ts";
import { startProcess } from "../support/printing-process.ts";
import { requirePrograms } from "../support/require-programs.ts";
import { bufCurlSession } from "./buf-curl.ts";
import { protocIncludes, protocSession } from "./proto-tarball.ts";
import { checkPythonTypes, installPythonPackage, testPythonPackage } from "./python-package.ts";
import { pythonWorkerSession } from "./python-worker.ts";
import { run } from "./run-command.ts";

const PYTHON = "/usr/bin/python3";
const TOKEN = "a-token-of-the-tests";

requirePrograms("test:clients", [
  { command: [PYTHON, "-c", "import grpc"], of: "python3-grpcio" },
  { command: [PYTHON, "-c", "import build"], of: "python3-build" },
  { command: [PYTHON, "-c", "import hatchling"], of: "python3-hatchling" },
  { command: [PYTHON, "-c", "import pip"], of: "python3-pip" },
  { command: ["mypy", "--version"], of: "mypy" },
  { command: ["protoc", "--version"], of: "protobuf-compiler" },
  { command: [protocIncludes() === undefined ? "false" : "true"], of: "libprotobuf-dev" },
]);

using folder = mkdtempDisposableSync(join(tmpdir(), "spool-clients-"));
using certificate = makeCertificate();
await using server = serve("data", {
  SPOOL_CANCEL_GRACE_MS: "600000", // A cancelled task ends when its code does, and by nothing else.
});
await using guarded = serve("guarded", {
  SPOOL_TOKEN: TOKEN,
  SPOOL_TLS_CERT: certificate.certFile,
  SPOOL_TLS_KEY: certificate.keyFile,
});

const python = await installPythonPackage(folder.path, PYTHON);
const [address] = await server.next(/127\.0\.0\.1:\d+/);
const [guardedAddress] = await guarded.next(/127\.0\.0\.1:\d+/);
const types = checkPythonTypes(folder.path, python);
const tests = testPythonPackage(python, {
  SPOOL_ADDRESS: address,
  SPOOL_GUARDED_ADDRESS: `https://${guardedAddress}`,
  SPOOL_GUARDED_TOKEN: TOKEN,
  SPOOL_GUARDED_CERT: certificate.certFile,
});
await Promise.all([types, tests]);

const descriptors = join(folder.path, "spool.binpb");
run("buf", ["build", "--as-file-descriptor-set", "-o", descriptors]);
run(PYTHON, [join(import.meta.dirname, "caller.py"), address, descriptors]);
bufCurlSession(address);
protocSession(folder.path);
await pythonWorkerSession(address, python);
console.log("test:clients: ok");

function serve(data: string, environment: Record<string, string>) {
  return startProcess("npm", {
    args: ["start"],
    environment: {
      SPOOL_PORT: "0",
      SPOOL_HTTP_PORT: "off",
      SPOOL_DATA_DIR: join(folder.path, data),
      SPOOL_LOG_LEVEL: "warn",
      ...environment,
    },
  });
}
