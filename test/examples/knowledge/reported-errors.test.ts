import assert from "node:assert/strict";
import {
  ErrorReport,
  REPORTED_ERRORS_BYTES_MAX,
  REPORTED_ERRORS_MAX,
} from "../../../examples/knowledge/reported-errors.ts";

describe("the errors of a report", () => {
  it("are the first ones up to a number, with the total count", () => {
    const errors = new ErrorReport();
    assert.deepEqual(errors.report(), { errors: [], errors_total: 0 });
    for (let index = 0; index <= REPORTED_ERRORS_MAX; index++) errors.add({ index });
    const report = errors.report();
    assert.equal(report.errors_total, REPORTED_ERRORS_MAX + 1);
    assert.equal(report.errors.length, REPORTED_ERRORS_MAX);
    assert.deepEqual(report.errors.at(-1), { index: REPORTED_ERRORS_MAX - 1 });
  });

  it("are the first ones up to a size as JSON", () => {
    const half = { message: "x".repeat(REPORTED_ERRORS_BYTES_MAX / 2 - '{"message":""}'.length) };
    const errors = new ErrorReport();
    errors.add(half);
    errors.add(half);
    errors.add({});
    assert.deepEqual(errors.report(), { errors: [half, half], errors_total: 3 });
    assert.deepEqual(errors.report(REPORTED_ERRORS_BYTES_MAX / 2), { errors: [half], errors_total: 3 });
    assert.deepEqual(errors.report(REPORTED_ERRORS_BYTES_MAX / 2 - 1), { errors: [], errors_total: 3 });
  });

  it("continue those of an earlier attempt", () => {
    const errors = new ErrorReport();
    errors.goOn({ errors: [{ a: 1 }, { a: 2 }], errors_total: 5 });
    errors.add({ a: 6 });
    assert.deepEqual(errors.report(), { errors: [{ a: 1 }, { a: 2 }, { a: 6 }], errors_total: 6 });
  });
});
