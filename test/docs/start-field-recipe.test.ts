import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "../..");
const TITLE = "## Adding a field to StartTask\n";
/** How many files a field may be written down in, besides the files that act on it. */
const CARRIERS_MAX = 11;

describe("the recipe for a field of StartTask in CONTRIBUTING.md", () => {
  const [, recipe = ""] = readFileSync(join(ROOT, "CONTRIBUTING.md"), "utf8").split(TITLE);
  const [section = ""] = recipe.split("\n## ");
  const [carriers = [], actors = []] = section.split("\nFiles that act on the field").map(listed);

  it("lists the files that name deadline_at, and no other", () => {
    const files = globSync(["src/**/*.{ts,tsx}", "proto/**/*.proto"], { cwd: ROOT, exclude: ["src/gen/**"] });
    const naming = files.filter((file) => /\b(deadline_at|deadlineAt)\b/.test(readFileSync(join(ROOT, file), "utf8")));
    assert.deepEqual([...carriers, ...actors].sort(), naming.sort());
  });

  it(`takes at most ${CARRIERS_MAX} files for a field that nothing acts on`, () => {
    assert.ok(carriers.length > 0 && carriers.length <= CARRIERS_MAX, `${carriers.length} files`);
  });

  it("says what each file that acts on the field does", () => {
    const explained = [...section.matchAll(/^- `[^`]+`: \S/gm)];
    assert.ok(actors.length > 0);
    assert.equal(explained.length, carriers.length + actors.length);
  });
});

/** The files at the beginning of the items of a list. */
function listed(text: string): string[] {
  return [...text.matchAll(/^- `([^`]+)`/gm)].map(([, file]) => file!);
}
