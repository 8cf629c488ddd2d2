import type { Metric } from "./documented-metrics.ts";
import { SET_OPERATORS } from "./promql.ts";
import type { PromqlNode } from "./promql.ts";

type Metrics = ReadonlyMap<string, Metric>;

const OVER_A_COUNTER = ["rate", "increase"];

/**
 * The labels that an expression's series have.
 *
 * @throws Error where a metric, a label or a value is not documented, where it groups or matches by a label that is not
 *   there, or takes of a metric what its type does not have: a rate of a gauge, a quantile of what is no histogram, the
 *   sum over servers of what all tell alike
 */
export function labelsOf(node: PromqlNode, metrics: Metrics): ReadonlySet<string> {
  switch (node.name) {
    case "NumberDurationLiteral":
      return new Set();
    case "VectorSelector":
      return labelsOfSelector(node, metrics);
    case "FunctionCall":
      return labelsOfCall(node, metrics);
    case "AggregateExpr":
      return labelsOfAggregation(node, metrics);
    case "BinaryExpr":
      return labelsOfBinary(node, metrics);
    default:
      return labelsOf(node.operands[0]!, metrics);
  }
}

interface Selector {
  metric: string;
  matchers: { label: string; operator: string; value: string }[];
  isRange: boolean;
}

/** What an expression asks for. @param except the name of nodes below which it is not looked for */
export function selectorsIn(node: PromqlNode, except?: string): Selector[] {
  if (node.name === except) return [];
  if (node.name === "VectorSelector") return [selectorOf(node)];
  const selectors = node.operands.flatMap((operand) => selectorsIn(operand, except));
  return node.name === "MatrixSelector" ? selectors.map((selector) => ({ ...selector, isRange: true })) : selectors;
}

function selectorOf(node: PromqlNode): Selector {
  const matchers = (node.child("LabelMatchers")?.children("UnquotedLabelMatcher") ?? []).map((matcher) => ({
    label: matcher.child("LabelName")!.text,
    operator: matcher.child("MatchOp")!.text,
    value: matcher.child("StringLiteral")!.text.slice(1, -1),
  }));
  return { metric: node.child("Identifier")!.text, matchers, isRange: false };
}

function labelsOfSelector(node: PromqlNode, metrics: Metrics) {
  const { metric: name, matchers } = selectorOf(node);
  const metric = metrics.get(name);
  if (metric === undefined) throw new Error(`${name} is not documented`);
  for (const { label, operator, value } of matchers) {
    if (!metric.labels.has(label)) throw new Error(`${name} has no label ${label}`);
    if (!/^[\w.|-]*$/.test(value)) throw new Error(`${label} of ${name} is no list of values: ${value}`);
    const known = metric.labels.get(label);
    for (const one of operator.endsWith("~") ? value.split("|") : [value]) {
      if (known && !known.has(one)) throw new Error(`${label} of ${name} is never ${one}`);
    }
  }
  return new Set(metric.labels.keys());
}

function labelsOfCall(node: PromqlNode, metrics: Metrics): ReadonlySet<string> {
  const of = node.operands.at(-1)!;
  const labels = labelsOf(of, metrics);
  if (OVER_A_COUNTER.includes(node.operator)) {
    for (const { metric } of selectorsIn(of)) {
      if (metrics.get(metric)!.type === "gauge") throw new Error(`${metric} is a gauge: it has no ${node.operator}`);
    }
  }
  if (node.operator === "absent") return new Set();
  if (node.operator !== "histogram_quantile") return labels;
  if (!labels.has("le")) throw new Error("histogram_quantile needs its buckets by le");
  return new Set([...labels].filter((label) => label !== "le"));
}

function labelsOfAggregation(node: PromqlNode, metrics: Metrics) {
  const [operator, by, of] = [node.operator, node.labels ?? [], node.operands[0]!];
  const labels = labelsOf(of, metrics);
  for (const label of by) if (!labels.has(label)) throw new Error(`${operator} by ${label}, which is not there`);
  for (const { metric } of selectorsIn(of, "AggregateExpr")) {
    const { type, isOfNamespace } = metrics.get(metric)!;
    if (isOfNamespace && operator !== "max") throw new Error(`${metric} is of the namespace: max, not ${operator}`);
    if (type === "gauge" && !isOfNamespace && operator === "max" && !by.includes("instance"))
      throw new Error(`${metric} is of one server: sum, not max`);
  }
  return new Set(by);
}

function labelsOfBinary(node: PromqlNode, metrics: Metrics) {
  const { operator, operands, labels: on } = node;
  const [lefts, rights] = operands.map((side) => labelsOf(side, metrics)) as [Set<string>, Set<string>];
  for (const label of on ?? []) {
    if (!lefts.has(label) || !rights.has(label)) throw new Error(`${operator} on ${label}, which is not on both sides`);
  }
  const isOfNumber = operands.some(({ name }) => name === "NumberDurationLiteral");
  if (on === null && !isOfNumber && operator !== "or" && lefts.symmetricDifference(rights).size > 0)
    throw new Error(`${operator} of series by ${[...lefts].join()} with series by ${[...rights].join()}`);
  if (operator === "or") return lefts.union(rights);
  if (on === null || node.isManyToOne || SET_OPERATORS.includes(operator)) return lefts;
  return new Set(on);
}
