import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, globSync, statSync } from "node:fs";
import { join } from "node:path";
import { buildProtoTarball, unpackProtoTarball } from "../support/proto-tarball.ts";

/** Where Debian's packages libprotobuf-dev and python3-grpc-tools put the files google/protobuf/*.proto of protoc. */
const INCLUDES = ["/usr/include", "/usr/lib/python3/dist-packages/grpc_tools/_proto"];

/** Returns the folder with the proto files of protoc itself; undefined if no package has brought them. */
export function protocIncludes(): string | undefined {
  return INCLUDES.find((folder) => existsSync(join(folder, "google", "protobuf", "struct.proto")));
}

/** Compiles the tarball of the protos with protoc, as users without buf do. */
export function protocSession(folder: string): void {
  const root = join(unpackProtoTarball(buildProtoTarball(folder), folder), "proto");
  const descriptors = join(folder, "protoc.binpb");
  const files = globSync("**/*.proto", { cwd: root });
  assert.ok(files.includes(join("spool", "v1", "task_service.proto")), files.join(", "));
  execFileSync("protoc", ["-I", root, "-I", protocIncludes()!, "-o", descriptors, ...files], { stdio: "inherit" });
  assert.ok(statSync(descriptors).size > 0);
}
