// `npm run build:protos [-- --output FOLDER]`: writes dist/protos/spool-protos-VERSION.tar.gz, the proto files with all
// that they import, for `buf build` and protoc. The same sources give the same bytes. Needs GNU tar.

import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempDisposableSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import manifest from "../package.json" with { type: "json" };

const ROOT = join(import.meta.dirname, "..");
const NAME = `spool-protos-${manifest.version}`;
/** What the tarball contains. The binary descriptor beside the proto files is for the check of compatibility only. */
const FILES = ["LICENSE", "buf.yaml", "proto/spool", "proto/google", "proto/grpc"];
/** Nothing of the machine: no times, users, groups and rights, and one order. */
const REPRODUCIBLE = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "--format=ustar"];

const { values } = parseArgs({ options: { output: { type: "string", default: join(ROOT, "dist", "protos") } } });
using folder = mkdtempDisposableSync(join(tmpdir(), "spool-protos-"));
for (const file of FILES) cpSync(join(ROOT, file), join(folder.path, NAME, file), { recursive: true });
const tar = execFileSync("tar", [...REPRODUCIBLE, "--mode=u=rwX,go=rX", "-C", folder.path, "-cf", "-", NAME], {
  maxBuffer: 64 * 1_024 * 1_024,
});
mkdirSync(values.output, { recursive: true });
const target = join(values.output, `${NAME}.tar.gz`);
writeFileSync(target, gzipSync(tar, { level: 9 }));
console.log(target);
