import assert from "node:assert/strict";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { EMPTY_FIELDS, paramsProblem, readFields } from "../../src/console/start/start-request.ts";
import { sortViolations } from "../../src/console/start/violations.ts";

describe("the form that starts a task", () => {
  it("becomes a request with the timeout in its unit and without empty fields", () => {
    const { request } = readFields({
      ...EMPTY_FIELDS,
      kind: " echo ",
      params: '{"count": 2}',
      labels: [
        { key: "team", value: "search" },
        { key: "", value: "" },
      ],
      timeout: "1.5",
      timeoutUnit: "min",
    });
    assert.ok(request);
    const { timeout, ...rest } = request;
    assert.equal(durationMs(timeout as Parameters<typeof durationMs>[0]), 90_000);
    assert.deepEqual(rest, {
      kind: "echo",
      params: { count: 2 },
      labels: { team: "search" },
      requestId: "",
      maxAttempts: 0,
    });
    assert.equal(readFields({ ...EMPTY_FIELDS, kind: "echo", params: " " }).request?.timeout, undefined);
  });

  it("names each invalid field", () => {
    const twice = [
      { key: "a", value: "1" },
      { key: "a", value: "2" },
    ];
    const { violations } = readFields({
      ...EMPTY_FIELDS,
      params: "[]",
      labels: twice,
      timeout: "soon",
      maxAttempts: "x",
    });
    assert.deepEqual(
      violations?.map(({ field }) => field),
      ["params", "labels", "timeout", "max_attempts"],
    );
  });

  it("accepts only a JSON object as params", () => {
    for (const wrong of ["{", "1", "null", "[]", '"x"', "{'a': 1}", '{"a": 1e999}', '{"\\ud800": 1}', '["\\ud800"]'])
      assert.match(paramsProblem(wrong)!, /^must /);
    for (const right of ["", "{}", '{"a": [1]}']) assert.equal(paramsProblem(right), null);
  });
});

describe("a violation that the server reports", () => {
  it("is shown at its field of the form, with the full name of a nested field", () => {
    const refuse = (field: string) => ({ field, description: "no" });
    assert.deepEqual(
      sortViolations(["kind", "params", "params.count", 'labels["a"]', "paramsx", "retry_policy.jitter"].map(refuse)),
      {
        kind: ["no"],
        params: ["no", "params.count: no"],
        labels: ['labels["a"]: no'],
        other: ["paramsx: no", "retry_policy.jitter: no"],
      },
    );
  });
});
