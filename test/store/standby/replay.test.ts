import assert from "node:assert/strict";
import { hiddenBelow } from "../../../src/store/standby/replay.ts";

describe("the transactions that a primary does not show", () => {
  const position = { lsn: "0/1", timeline: 1, xmax: 10n, running: [4n, 7n] };

  it("are those that run below the end of a read, and those that began after the snapshot", () => {
    assert.deepEqual(hiddenBelow(3n, position), []);
    assert.deepEqual(hiddenBelow(7n, position), [4n]);
    assert.deepEqual(hiddenBelow(12n, position), [4n, 7n, 10n, 11n]);
  });

  it("are unknown if there are more than 1,000", () => {
    assert.equal(hiddenBelow(1_010n, { ...position, running: [] })?.length, 1_000);
    assert.equal(hiddenBelow(1_011n, { ...position, running: [] }), null);
    const running = Array.from({ length: 1_001 }, (_, index) => BigInt(index));
    assert.equal(hiddenBelow(2n, { ...position, xmax: 1_010n, running }), null);
  });
});
