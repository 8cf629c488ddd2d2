// `npm run build:python`: writes the descriptors of the protos into the Python client, and the types of their messages.
// With `--check`, only compares: ends with 1 where a file is not what the protos say.

import { spawnSync } from "node:child_process";
import { existsSync, mkdtempDisposableSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { describeMessages } from "./python-stub.ts";

const ROOT = join(import.meta.dirname, "..");
const PACKAGE = join(ROOT, "clients", "python", "src", "spooltape");
const PROTOS = [
  "proto/google/rpc/error_details.proto",
  "proto/google/rpc/status.proto",
  "proto/spool/v1/task_service.proto",
  "proto/spool/v1/worker_service.proto",
];

const descriptors = buildDescriptors();
const files: Readonly<Record<string, Uint8Array>> = {
  "descriptors.binpb": descriptors,
  "_messages.pyi": Buffer.from(describeMessages(fromBinary(FileDescriptorSetSchema, descriptors).file)),
};

for (const [name, content] of Object.entries(files)) {
  const path = join(PACKAGE, name);
  if (existsSync(path) && readFileSync(path).equals(content)) continue;
  if (process.argv.includes("--check")) {
    console.error(`${path} is not what the protos say: run npm run build:python`);
    process.exitCode = 1;
  } else {
    writeFileSync(path, content);
  }
}

/** Returns the protos and all that they import, as a FileDescriptorSet without comments. */
function buildDescriptors(): Buffer {
  using folder = mkdtempDisposableSync(join(tmpdir(), "spool-python-"));
  const output = join(folder.path, "descriptors.binpb");
  const paths = PROTOS.flatMap((path) => ["--path", path]);
  const args = ["build", ...paths, "--as-file-descriptor-set", "--exclude-source-info", "-o", output];
  const { status, stderr } = spawnSync("buf", args, { cwd: ROOT, encoding: "utf8" });
  if (status !== 0) throw new Error(`buf build ended with ${status}: ${stderr}`);
  // Every runtime of protobuf has the definitions of options itself.
  const { file } = fromBinary(FileDescriptorSetSchema, readFileSync(output));
  const needed = file.filter(({ name }) => name !== "google/protobuf/descriptor.proto");
  return Buffer.from(toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file: needed })));
}
