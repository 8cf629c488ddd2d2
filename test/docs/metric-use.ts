import type { Metric } from "./documented-metrics.ts";
import { SET_OPERATORS } from "./promql.ts";
import type { Aggregation, Binary, Call, Expression, Matcher, Selector } from "./promql.ts";

const OVER_A_COUNTER = ["rate", "increase"];

/**
 * The labels that an expression's series have.
 *
 * @throws Error where a metric, a label or a value is not documented, where it groups or matches by a label that is not
 *   there, or takes of a metric what its type does not have: a rate of a gauge, a quantile of what is no histogram, the
 *   sum over servers of what all tell alike
 */
export function labelsOf(expression: Expression, metrics: ReadonlyMap<string, Metric>): ReadonlySet<string> {
  switch (expression.type) {
    case "selector":
      return labelsOfSelector(expression, metrics);
    case "call":
      return labelsOfCall(expression, metrics);
    case "aggregation":
      return labelsOfAggregation(expression, metrics);
    case "binary":
      return labelsOfBinary(expression, metrics);
    case "literal":
      return new Set();
  }
}

function labelsOfSelector({ metric: name, matchers }: Selector, metrics: ReadonlyMap<string, Metric>) {
  const metric = metrics.get(name);
  if (metric === undefined) throw new Error(`${name} is not documented`);
  for (const matcher of matchers) {
    if (!metric.labels.has(matcher.label)) throw new Error(`${name} has no label ${matcher.label}`);
    const values = metric.labels.get(matcher.label);
    for (const value of valuesOf(matcher)) {
      if (values && !values.has(value)) throw new Error(`${matcher.label} of ${name} is never ${value}`);
    }
  }
  return new Set(metric.labels.keys());
}

/** The values that a matcher names; none where it asks for a variable of the dashboard. */
function valuesOf({ operator, value }: Matcher): string[] {
  if (value.startsWith("$")) return [];
  return operator.endsWith("~") ? value.split("|") : [value];
}

function labelsOfCall({ name, args }: Call, metrics: ReadonlyMap<string, Metric>): ReadonlySet<string> {
  const of = args.at(-1)!;
  const labels = labelsOf(of, metrics);
  if (OVER_A_COUNTER.includes(name)) {
    for (const metric of selectorsIn(of).map((selector) => selector.metric)) {
      if (metrics.get(metric)!.type === "gauge") throw new Error(`${metric} is a gauge: it has no ${name}`);
    }
  }
  if (name === "absent") return new Set();
  if (name !== "histogram_quantile") return labels;
  if (!labels.has("le")) throw new Error("histogram_quantile needs its buckets by le");
  return new Set([...labels].filter((label) => label !== "le"));
}

function labelsOfAggregation({ operator, by, of }: Aggregation, metrics: ReadonlyMap<string, Metric>) {
  const labels = labelsOf(of, metrics);
  for (const label of by) if (!labels.has(label)) throw new Error(`${operator} by ${label}, which is not there`);
  if (of.type === "selector") {
    const { type, isOfNamespace } = metrics.get(of.metric)!;
    if (isOfNamespace && operator !== "max") throw new Error(`${of.metric} is of the namespace: max, not ${operator}`);
    if (type === "gauge" && !isOfNamespace && operator === "max" && !by.includes("instance"))
      throw new Error(`${of.metric} is of one server: sum, not max`);
  }
  return new Set(by);
}

function labelsOfBinary({ operator, left, right, on, isManyToOne }: Binary, metrics: ReadonlyMap<string, Metric>) {
  const [lefts, rights] = [labelsOf(left, metrics), labelsOf(right, metrics)];
  for (const label of on ?? []) {
    if (!lefts.has(label) || !rights.has(label)) throw new Error(`${operator} on ${label}, which is not on both sides`);
  }
  const isOfScalar = left.type === "literal" || right.type === "literal";
  if (on === null && !isOfScalar && operator !== "or" && !isSame(lefts, rights))
    throw new Error(`${operator} of series by ${[...lefts].join()} with series by ${[...rights].join()}`);
  if (operator === "or") return lefts.union(rights);
  if (on === null || isManyToOne || SET_OPERATORS.includes(operator)) return lefts;
  return new Set(on);
}

function isSame(one: ReadonlySet<string>, other: ReadonlySet<string>): boolean {
  return one.size === other.size && one.isSubsetOf(other);
}

/** All metrics that an expression asks for. */
export function selectorsIn(expression: Expression): Selector[] {
  switch (expression.type) {
    case "selector":
      return [expression];
    case "call":
      return expression.args.flatMap(selectorsIn);
    case "aggregation":
      return selectorsIn(expression.of);
    case "binary":
      return [expression.left, expression.right].flatMap(selectorsIn);
    case "literal":
      return [];
  }
}
