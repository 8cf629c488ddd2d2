import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";

const MAIN = join(import.meta.dirname, "main.ts");
const SECONDS = 8;

/** Runs interleavings in a process of their own, whose clock they control. @returns what they print */
async function run(...args: string[]): Promise<{ code: number | string; output: string }> {
  const { promise, resolve } = Promise.withResolvers<{ code: number | string; output: string }>();
  execFile(process.execPath, [MAIN, ...args], (error, output) => resolve({ code: error?.code ?? 0, output }));
  return promise;
}

describe("the journal and the feed under a scheduler that a seed controls", function () {
  this.timeout(120_000);

  it("keep their promises in every interleaving, with any fault of the store", async () => {
    const { code, output } = await run("--seconds", `${SECONDS}`);
    assert.equal(code, 0, output);
    console.log(`      ${output.trim().replaceAll("\n", ": ")}`);
  });

  it("do the same with the same seed", async () => {
    const args = ["--runs", "60", "--seed", "1", "--digest"];
    const [one, two] = await Promise.all([run(...args), run(...args)]);
    assert.match(one.output, /^digest [0-9a-f]{64}$/m);
    assert.deepEqual(digestIn(one.output), digestIn(two.output));
  });
});

function digestIn(output: string): string | undefined {
  return /^digest .*$/m.exec(output)?.[0];
}
