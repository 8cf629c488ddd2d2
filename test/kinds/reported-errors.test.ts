import assert from "node:assert/strict";
import { gatherErrors, REPORTED_ERRORS_BYTES_MAX, REPORTED_ERRORS_MAX } from "../../src/kinds/reported-errors.ts";

describe("the errors of a report", () => {
  it("are the first ones, up to a number, and how many there were", () => {
    const errors = gatherErrors();
    assert.deepEqual(errors.report(), { errors: [], errors_total: 0 });
    for (let index = 0; index <= REPORTED_ERRORS_MAX; index++) errors.add({ index });
    const report = errors.report();
    assert.equal(report.errors_total, REPORTED_ERRORS_MAX + 1);
    assert.equal(report.errors.length, REPORTED_ERRORS_MAX);
    assert.deepEqual(report.errors.at(-1), { index: REPORTED_ERRORS_MAX - 1 });
  });

  it("are the first ones, up to a size as JSON", () => {
    const half = { message: "x".repeat(REPORTED_ERRORS_BYTES_MAX / 2 - '{"message":""}'.length) };
    const errors = gatherErrors();
    errors.add(half);
    errors.add(half);
    errors.add({});
    assert.deepEqual(errors.report(), { errors: [half, half], errors_total: 3 });
  });
});
