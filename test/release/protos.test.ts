import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { globSync, mkdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { parse } from "yaml";
import manifest from "../../package.json" with { type: "json" };
import { buildProtoTarball, unpackProtoTarball } from "../support/proto-tarball.ts";

const ROOT = join(import.meta.dirname, "..", "..");

describe("the tarball of the protos", function () {
  this.timeout(60_000);
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "spool-protos-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it("has the same bytes whenever the same sources are packed", () => {
    const [one, other] = ["one", "other"].map((name) => buildProtoTarball(join(folder, name)));
    assert.equal(basename(one!), `spool-protos-${manifest.version}.tar.gz`);
    assert.ok(readFileSync(one!).equals(readFileSync(other!)));
  });

  it("has every proto file, the licence and the name of the module", () => {
    const files = unpackProtoTarball(buildProtoTarball(folder), folder);
    const protos = (cwd: string) => globSync("proto/**/*.proto", { cwd }).toSorted();
    assert.deepEqual(protos(files), protos(ROOT));
    assert.equal(readFileSync(join(files, "LICENSE"), "utf8"), readFileSync(join(ROOT, "LICENSE"), "utf8"));
    const { modules } = parse(readFileSync(join(files, "buf.yaml"), "utf8")) as { modules: unknown[] };
    assert.deepEqual(modules, [{ path: "proto", name: "buf.build/spooltape/spool" }]);
  });

  it("is built by buf into the descriptors of this checkout", () => {
    const files = unpackProtoTarball(buildProtoTarball(folder), folder);
    const cache = join(folder, "cache");
    mkdirSync(cache);
    const build = (cwd: string) =>
      execFileSync(join(ROOT, "node_modules", ".bin", "buf"), ["build", "-o", "-#format=binpb"], {
        cwd,
        env: { ...process.env, BUF_CACHE_DIR: cache },
      });
    assert.ok(build(files).equals(build(ROOT)));
  });
});
