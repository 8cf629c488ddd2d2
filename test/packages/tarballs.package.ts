import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { join } from "node:path";
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
  });
}
