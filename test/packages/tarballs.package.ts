import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { globSync, mkdtempDisposableSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { ROOT, TARBALLS } from "./support/installed.ts";
import { report } from "./support/report.ts";

const run = promisify(execFile);
const bin = (name: string) => join(ROOT, "node_modules", ".bin", name);

for (const [name, tarball] of Object.entries(TARBALLS)) {
  describe(`the tarball of the ${name}`, () => {
    it("is what publint accepts, with suggestions", async () => {
      const { stdout } = await run(bin("publint"), ["--strict", tarball]);
      assert.match(stdout, /All good!/);
      report(`publint ${name}`, "All good!");
    });

    it("has types that TypeScript resolves as it resolves the code", async () => {
      // Node loads the modules with require, too, but TypeScript's node16 does not know that.
      await run(bin("attw"), [tarball, "--profile", "esm-only"]); // Ends with 1 where there is a problem.
      report(`attw ${name}`, "no problems (profile esm-only: node16 from ESM, bundler)");
    });

    it("holds what runs, and no tests, sources or other files of the checkout", () => {
      const files = execFileSync("tar", ["-tzf", tarball], { encoding: "utf8" }).trim().split("\n");
      const folders = new Set(files.map((file) => file.split("/").slice(1, 2).join("")));
      const allowed = [
        "bin",
        "man",
        "templates",
        "dist",
        "types",
        "package.json",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "THIRD-PARTY.txt",
      ];
      assert.deepEqual([...folders.difference(new Set(allowed))], []);
      assert.ok(files.length > 5);
      assert.deepEqual(
        files.filter((file) => /(?<!\.d)\.ts$/.test(file) && !file.startsWith("package/templates/")),
        [],
      );
    });

    it("has source maps that lead to no file outside of the package", () => {
      using unpacked = unpack(tarball);
      const maps = globSync("dist/**/*.map", { cwd: unpacked.path });
      assert.ok(maps.length > 0);
      for (const file of maps) {
        const { sources } = JSON.parse(readFileSync(join(unpacked.path, file), "utf8")) as { sources: string[] };
        const paths = sources.map((source) => join(dirname(file), source));
        assert.deepEqual(
          paths.filter((path) => !/^(?:src|packages|examples|node_modules|package\.json)/.test(path)),
          [],
        );
      }
    });
  });
}

describe("THIRD-PARTY.txt", () => {
  const BUNDLED = {
    client: ["@grpc/grpc-js", "@sinonjs/fake-timers", "uuid"],
    server: ["preact", "@preact/signals", "uplot", "@connectrpc/connect-web", "@bufbuild/protobuf"],
  } as const;
  for (const [name, packages] of Object.entries(BUNDLED)) {
    it(`has the licences of the packages that the ${name} bundles`, () => {
      using unpacked = unpack(TARBALLS[name as keyof typeof BUNDLED]);
      const text = readFileSync(join(unpacked.path, "THIRD-PARTY.txt"), "utf8");
      const titles = new Set([...text.matchAll(/^(@?[a-z][\w./-]*) \d+\.\d+\.\d+, \S/gm)].map(([, title]) => title!));
      assert.deepEqual(
        packages.filter((wanted) => !titles.has(wanted)),
        [],
      );
    });
  }
});

/** Unpacks a tarball into a folder that is removed at the end of the scope. */
function unpack(tarball: string): Disposable & { path: string } {
  const folder = mkdtempDisposableSync(join(tmpdir(), "spool-tarball-"));
  execFileSync("tar", ["-xzf", tarball, "-C", folder.path]);
  return { path: join(folder.path, "package"), [Symbol.dispose]: () => folder.remove() };
}
