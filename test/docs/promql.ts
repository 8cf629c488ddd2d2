/**
 * PromQL as far as the project's own dashboard and alarms use it, read strictly: what is not well-formed, or not known
 * here, throws. Variables of Grafana stand where a duration or a string does.
 */
export type Expression = Selector | Call | Aggregation | Binary | Literal;

export interface Selector {
  type: "selector";
  metric: string;
  matchers: Matcher[];
  isRange: boolean;
}

export interface Matcher {
  label: string;
  operator: "=" | "!=" | "=~" | "!~";
  value: string;
}

export interface Call {
  type: "call";
  name: string;
  args: Expression[];
}

export interface Aggregation {
  type: "aggregation";
  operator: string;
  by: string[];
  of: Expression;
}

export interface Binary {
  type: "binary";
  operator: string;
  left: Expression;
  right: Expression;
  /** null: they match by all of their labels. */
  on: string[] | null;
  isManyToOne: boolean;
}

interface Literal {
  type: "literal";
}

/** Whether a function's last argument is a range or an instant. */
const FUNCTIONS = {
  rate: "range",
  increase: "range",
  max_over_time: "range",
  min_over_time: "range",
  histogram_quantile: "instant",
  absent: "instant",
} as const;
const ARGUMENTS: Record<keyof typeof FUNCTIONS, number> = {
  rate: 1,
  increase: 1,
  max_over_time: 1,
  min_over_time: 1,
  histogram_quantile: 2,
  absent: 1,
};
const AGGREGATIONS = ["sum", "max", "min", "count"];
/** From what binds least to what binds most. All of them are read from the left. */
const OPERATORS = [["or"], ["and", "unless"], ["==", "!=", ">=", "<=", ">", "<"], ["+", "-"], ["*", "/"]];
export const SET_OPERATORS = ["or", "and", "unless"];

const TOKEN =
  /\s*(?:("[^"\\]*")|(\$?[a-zA-Z_:][\w:]*)|(\d+(?:\.\d+)?[a-z]?\w*)|(=~|!~|==|!=|>=|<=|[-+*/(){}[\],<>=]))/y;
const NAME = /^[a-zA-Z_:][\w:]*$/;
const DURATION = /^(\d+(ms|[smhdwy])|\$__rate_interval)$/;
const NUMBER = /^\d+(\.\d+)?$/;

/** @throws Error that says what was read up to there and what was expected */
export function parsePromql(text: string): Expression {
  const tokens = tokensOf(text);
  let at = 0;

  function fail(expected: string): never {
    throw new Error(`${expected} expected after "${tokens.slice(0, at).join(" ")}", not "${tokens[at] ?? "the end"}"`);
  }
  function takeIf(token: string): boolean {
    if (tokens[at] !== token) return false;
    at++;
    return true;
  }
  function take(what: string, pattern: RegExp): string {
    const token = tokens[at];
    if (token === undefined || !pattern.test(token)) fail(what);
    at++;
    return token;
  }
  function expect(token: string): void {
    if (!takeIf(token)) fail(token);
  }
  function list<Item>(item: () => Item, end: string): Item[] {
    const items: Item[] = [];
    if (takeIf(end)) return items;
    do items.push(item());
    while (takeIf(","));
    expect(end);
    return items;
  }
  function labels(): string[] {
    expect("(");
    return list(() => take("a label", NAME), ")");
  }

  function binary(level: number): Expression {
    const operators = OPERATORS[level];
    if (operators === undefined) return operand();
    let left = binary(level + 1);
    for (let operator = tokens[at]; operator !== undefined && operators.includes(operator); operator = tokens[at]) {
      at++;
      const on = takeIf("on") ? labels() : null;
      const isManyToOne = takeIf("group_left");
      if (isManyToOne && (on === null || SET_OPERATORS.includes(operator)))
        fail("an operand, for there is nothing to group by,");
      const right = binary(level + 1);
      for (const side of [left, right]) if (isRange(side)) fail("an instant on both sides");
      left = { type: "binary", operator, left, right, on, isManyToOne };
    }
    return left;
  }

  function operand(): Expression {
    if (takeIf("(")) {
      const inner = binary(0);
      expect(")");
      return inner;
    }
    if (NUMBER.test(tokens[at] ?? "")) {
      at++;
      return { type: "literal" };
    }
    const name = take("an expression", NAME);
    if (AGGREGATIONS.includes(name)) return aggregation(name);
    if (tokens[at] === "(") return call(name);
    return selector(name);
  }

  function aggregation(operator: string): Aggregation {
    const by = takeIf("by") ? labels() : [];
    expect("(");
    const of = binary(0);
    expect(")");
    if (isRange(of)) fail(`an instant in ${operator}`);
    return { type: "aggregation", operator, by, of };
  }

  function call(name: string): Call {
    if (!isFunction(name)) fail("a known function");
    expect("(");
    const args = list(() => binary(0), ")");
    if (args.length !== ARGUMENTS[name]) fail(`${ARGUMENTS[name]} arguments of ${name}`);
    if (isRange(args.at(-1)!) !== (FUNCTIONS[name] === "range")) fail(`a ${FUNCTIONS[name]} in ${name}`);
    return { type: "call", name, args };
  }

  function selector(metric: string): Selector {
    const matchers = takeIf("{") ? list(matcher, "}") : [];
    const isOverTime = takeIf("[");
    if (isOverTime) {
      take("a duration", DURATION);
      expect("]");
    }
    if (takeIf("offset")) take("a duration", DURATION);
    return { type: "selector", metric, matchers, isRange: isOverTime };
  }

  function matcher(): Matcher {
    const label = take("a label", NAME);
    const operator = take("=, !=, =~ or !~", /^(=|!=|=~|!~)$/) as Matcher["operator"];
    const value = take("a value in quotes", /^"/).slice(1, -1);
    if (operator.endsWith("~")) new RegExp(value); // Throws.
    return { label, operator, value };
  }

  const expression = binary(0);
  if (at < tokens.length) fail("the end");
  return expression;
}

function tokensOf(text: string): string[] {
  const tokens: string[] = [];
  const source = text.trimEnd();
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < source.length) {
    const from = TOKEN.lastIndex;
    const match = TOKEN.exec(source);
    if (match === null) throw new Error(`nothing that PromQL knows: ${source.slice(from)}`);
    tokens.push(match[0].trim());
  }
  return tokens;
}

function isFunction(name: string): name is keyof typeof FUNCTIONS {
  return Object.hasOwn(FUNCTIONS, name);
}

function isRange(expression: Expression): boolean {
  return expression.type === "selector" && expression.isRange;
}
