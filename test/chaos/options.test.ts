import assert from "node:assert/strict";
import { readOptions } from "./options.ts";

describe("the options of npm run chaos", () => {
  const read = (...args: string[]) => readOptions(args, ["server-kill", "link-reset"]);

  it("default to ten minutes, all faults, a random seed and a service of its own", () => {
    const { seed, ...options } = read();
    assert.deepEqual(options, { minutes: 10, history: null, faults: [], against: [] });
    assert.ok(Number.isInteger(seed));
  });

  it("take several addresses after --against", () => {
    assert.deepEqual(read("--against", "one:1", "two:2").against, ["one:1", "two:2"]);
  });

  it("are refused with what is wrong", () => {
    assert.throws(() => read("--minutes", "0"), /--minutes must be a number above 0, is "0"/);
    assert.throws(() => read("--seed", "4294967296"), /--seed must be 0 to 4294967295/);
    assert.throws(
      () => read("--fault", "earthquake"),
      /unknown fault "earthquake"; known faults: server-kill, link-reset/,
    );
    assert.throws(() => read("somewhere:1"), /unknown argument "somewhere:1"/);
  });
});
