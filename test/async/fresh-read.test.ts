import assert from "node:assert/strict";
import { FreshRead } from "../../src/async/fresh-read.ts";

/** A read that answers when the test says so. */
function scripted() {
  const begun: PromiseWithResolvers<number>[] = [];
  const read = new FreshRead(() => {
    begun.push(Promise.withResolvers());
    return begun.at(-1)!.promise;
  });
  return { begun, read };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

describe("FreshRead", () => {
  it("gives callers that come while a read runs the next read, which they share", async () => {
    const { begun, read } = scripted();
    const first = read.read();
    const [second, third] = [read.read(), read.read()];
    assert.equal(begun.length, 1);
    begun[0]!.resolve(1);
    assert.equal(await first, 1);
    await settled();
    assert.equal(begun.length, 2);
    const fourth = read.read();
    begun[1]!.resolve(2);
    assert.deepEqual(await Promise.all([second, third]), [2, 2]);
    await settled();
    begun[2]!.resolve(3);
    assert.equal(await fourth, 3);
    void read.read();
    assert.equal(begun.length, 4);
  });

  it("reads again after a read that failed", async () => {
    const { begun, read } = scripted();
    const failing = read.read();
    const next = read.read();
    begun[0]!.reject(new Error("away"));
    await assert.rejects(failing, /away/);
    await settled();
    begun[1]!.resolve(1);
    assert.equal(await next, 1);
  });
});
