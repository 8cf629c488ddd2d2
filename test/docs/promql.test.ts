import assert from "node:assert/strict";
import { parsePromql } from "./promql.ts";

describe("PromQL", () => {
  it("is read as Prometheus reads it", () => {
    const expression = parsePromql('a > 1 and on (x) sum by (x) (rate(b{c=~"d|e"}[5m])) == 0 or c unless d / e * 2');
    assert.partialDeepStrictEqual(expression, {
      operator: "or",
      left: {
        operator: "and",
        on: ["x"],
        left: { operator: ">", left: { metric: "a" } },
        right: {
          operator: "==",
          left: {
            operator: "sum",
            by: ["x"],
            of: { name: "rate", args: [{ metric: "b", isRange: true, matchers: [{ operator: "=~", value: "d|e" }] }] },
          },
        },
      },
      right: {
        operator: "unless",
        on: null,
        left: { metric: "c" },
        right: { operator: "*", left: { operator: "/", left: { metric: "d" }, right: { metric: "e" } } },
      },
    });
  });

  for (const [text, why] of [
    ["sum(rate(a[5m])", /\) expected/],
    ["rate(a[5m]))", /the end expected/],
    ["rate(a)", /a range in rate/],
    ["sum(a[5m])", /an instant in sum/],
    ["a[5m] > 1", /an instant on both sides/],
    ["rate(a[5 minutes])", /a duration expected/],
    ["rate(a[5])", /a duration expected/],
    ["ratio(a[5m])", /a known function/],
    ["histogram_quantile(a)", /2 arguments/],
    ['a{b="c}', /nothing that PromQL knows/],
    ["a{b=c}", /a value in quotes/],
    ['a{b=="c"}', /=, !=, =~ or !~ expected/],
    ['a{b=~"("}', /Invalid regular expression/],
    ["a >", /an expression expected/],
    ["a b", /the end expected/],
    ["sum by job (a)", /\( expected/],
    ["a / group_left b", /nothing to group by/],
    ["a and on (job) group_left b", /nothing to group by/],
    ["a == $threshold", /an expression expected/],
    ["", /an expression expected/],
  ] as const) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => parsePromql(text), why);
    });
  }
});
