import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { MUTATIONS, withMutation } from "./build-mutations.ts";
import type { MutationName } from "./build-mutations.ts";

const ROOT = join(import.meta.dirname, "..", "..");

function read(root: string, file: string): string {
  return readFileSync(join(root, file), "utf8");
}

describe("a mutation of the build", () => {
  for (const [name, { file, from }] of Object.entries(MUTATIONS)) {
    it(`${name} fits the source`, () => {
      assert.equal(read(ROOT, file).split(from).length, 2);
    });
  }

  it("changes a copy of the checkout, which is removed afterwards", async () => {
    const name: MutationName = "folded-text-lost";
    const { file, from, to } = MUTATIONS[name];
    const before = read(ROOT, file);
    const copy = await withMutation(name, (root) => {
      assert.equal(read(root, file), before.replace(from, to));
      assert.ok(existsSync(join(root, "node_modules", "pg", "package.json")));
      return root;
    });
    assert.ok(!existsSync(copy));
    assert.equal(read(ROOT, file), before);
  });
});
