import assert from "node:assert/strict";
import { checkTraceparent, linksTo, traceIdOf } from "../../src/telemetry/trace-context.ts";

const TRACE_ID = "0af7651916cd43dd8448eb211c80319c";
const SPAN_ID = "b7ad6b7169203331";
const SAMPLED = `00-${TRACE_ID}-${SPAN_ID}-01`;

describe("a traceparent", () => {
  it("is kept unchanged", () => {
    assert.equal(checkTraceparent(SAMPLED), SAMPLED);
    assert.equal(checkTraceparent(`00-${TRACE_ID}-${SPAN_ID}-00`), `00-${TRACE_ID}-${SPAN_ID}-00`);
    assert.deepEqual([traceIdOf(SAMPLED), traceIdOf(`00-${TRACE_ID}-${SPAN_ID}-00`)], [TRACE_ID, undefined]);
    assert.deepEqual(linksTo(SAMPLED), [
      { context: { traceId: TRACE_ID, spanId: SPAN_ID, traceFlags: 1, isRemote: true } },
    ]);
  });

  it("of a later version is converted to version 00", () => {
    assert.equal(checkTraceparent(`01-${TRACE_ID}-${SPAN_ID}-01-more`), SAMPLED);
  });

  it("is dropped if it is invalid", () => {
    const wrong = [
      "",
      "x",
      `${SAMPLED}-more`,
      `ff-${TRACE_ID}-${SPAN_ID}-01`,
      `00-${"0".repeat(32)}-${SPAN_ID}-01`,
      `00-${TRACE_ID}-${"0".repeat(16)}-01`,
      `00-${TRACE_ID.toUpperCase()}-${SPAN_ID}-01`,
      `00-${TRACE_ID}-${SPAN_ID}`,
      `00-${TRACE_ID}-${SPAN_ID}-01'; drop table tasks`,
      "0".repeat(100_000),
    ];
    for (const text of wrong) assert.deepEqual([text, checkTraceparent(text)], [text, null]);
    assert.deepEqual([checkTraceparent(null), checkTraceparent(undefined), linksTo(null)], [null, null, []]);
  });
});
