import assert from "node:assert/strict";
import { validate, version } from "uuid";
import { newTaskId } from "../../../src/engine/write/task-id.ts";

describe("newTaskId", () => {
  it("returns a UUIDv7 of the current time, larger than all ids before it", () => {
    const before = Date.now();
    const ids = Array.from({ length: 20_000 }, newTaskId);
    const after = Date.now();
    for (const id of ids) assert.ok(validate(id) && version(id) === 7, id);
    assert.deepEqual(ids, ids.toSorted());
    assert.equal(new Set(ids).size, ids.length);
    const ms = ids.map((id) => Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16));
    assert.ok(ms.every((each) => each >= before && each <= after));
    // The bits that do not count are random: 42 bits. A thousand ids need several requests for random bytes.
    const random = ids.slice(0, 1_000).map((id) => id.slice(-11));
    assert.equal(new Set(random).size, random.length);
  });
});
