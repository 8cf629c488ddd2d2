import assert from "node:assert/strict";
import { parsePromql } from "./promql.ts";
import type { PromqlNode } from "./promql.ts";

describe("the PromQL parser", () => {
  it("parses expressions as Prometheus does", () => {
    const text = 'a > 1 and on (x) sum by (x) (rate(b{c=~"d|e"}[5m])) == 0 or c unless d / on (y) group_left e * 2';
    assert.deepEqual(shapeOf(parsePromql(text)), [
      "or",
      ["and", [">", "a", "1"], ["==", ["sum", ["rate", 'b{c=~"d|e"}[5m]']], "0"]],
      ["unless", "c", ["*", ["/", "d", "e"], "2"]],
    ]);
    const [and, unless] = parsePromql(text).operands as [PromqlNode, PromqlNode];
    assert.deepEqual([and.labels, and.operands[1]!.operands[0]!.labels, unless.labels], [["x"], ["x"], null]);
    const division = unless.operands[1]!.operands[0]!;
    assert.deepEqual([division.labels, division.isManyToOne, and.isManyToOne], [["y"], true, false]);
  });

  for (const [text, why] of [
    ["sum(rate(a[5m])", /no PromQL from "" on/],
    ["rate(a[5m]))", /no PromQL from "\)" on/],
    ["rate(a)", /rate takes range/],
    ["sum(a[5m])", /sum takes instant/],
    ["a[5m] > 1", /an instant on both sides/],
    ["rate(a[5 minutes])", /no PromQL from " ?minutes/],
    ["rate(a[5])", /no duration with a unit/],
    ["rate(a[$__rate_interval])", /no PromQL from "\$__rate_interval/],
    ["ratio(a[5m])", /no PromQL from/],
    ["deriv(a[5m])", /deriv is not read here/],
    ["histogram_quantile(a)", /takes number, instant/],
    ['a{b="c}', /no PromQL from/],
    ["a{b=c}", /no PromQL from/],
    ['a{b=="c"}', /no PromQL from/],
    ['{b="c"}', /no metric/],
    ["a >", /no PromQL from/],
    ["a b", /no PromQL from "b" on/],
    ["sum by job (a)", /no PromQL from/],
    ["sum without (job) (a)", /Without is not read here/],
    ["a / group_left b", /no PromQL from/],
    ["a and on (job) group_left b", /nothing to group by/],
    ["a / on (job) group_left (version) b", /labels of group_left are not read/],
    ["rate(a[5m][5m])", /a range of a range/],
    ["a[5m]", /a range by itself/],
    ["a / b offset 5m", /a time of more than one metric/],
    ["rate(a[5m:1m])", /SubqueryExpr is not read here/],
    ["a == $threshold", /no PromQL from "\$threshold" on/],
    ["", /no PromQL from/],
  ] as const) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => parsePromql(text), why);
    });
  }
});

type Shape = string | Shape[];

function shapeOf(node: PromqlNode): Shape {
  const isLeaf = /Selector$|Literal$/.test(node.name);
  return isLeaf ? node.text : [node.operator, ...node.operands.map(shapeOf)];
}
