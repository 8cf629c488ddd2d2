import { parser } from "@prometheus-io/lezer-promql";

type SyntaxNode = ReturnType<typeof parser.parse>["topNode"];

/** What each takes, which the grammar leaves open. Those that are not here are not read. */
const ARGUMENTS = new Map([
  ...["rate", "increase", "max_over_time", "min_over_time", "resets"].map((name) => [name, "range"] as const),
  ...["sum", "max", "min", "count", "absent"].map((name) => [name, "instant"] as const),
  ["histogram_quantile", "number, instant"],
]);
/** Without a unit, or calculated, it takes a newer Prometheus, or one that is told to. */
const DURATION = /^(\d+(ms|[smhdwy]))+$/;
const UNREAD = ["LineComment", "Without", "Ignoring", "GroupRight", "BoolModifier", "FillModifier", "QuotedLabelName"];
export const SET_OPERATORS = ["or", "and", "unless"];

/** A node of the syntax tree, under the name that Prometheus's grammar gives it. */
export class PromqlNode {
  readonly #node: SyntaxNode;
  readonly #source: string;

  constructor(node: SyntaxNode, source: string) {
    this.#node = node;
    this.#source = source;
  }

  get name(): string {
    return this.#node.name;
  }

  get text(): string {
    return this.#source.slice(this.#node.from, this.#node.to);
  }

  children(name: string): PromqlNode[] {
    return this.#node.getChildren(name).map((node) => new PromqlNode(node, this.#source));
  }

  child(name: string): PromqlNode | undefined {
    return this.children(name)[0];
  }

  /** The sides of an operator, the arguments of a function or an aggregation, or what a time or parentheses are about. */
  get operands(): PromqlNode[] {
    return (this.child("FunctionCallBody") ?? this).children("Expr");
  }

  /** The text of an operator, or the name of a function or an aggregation. */
  get operator(): string {
    const { firstChild } = this.#node;
    return new PromqlNode(this.name === "BinaryExpr" ? firstChild!.nextSibling! : firstChild!, this.#source).text;
  }

  /** By which it groups or matches; null: it does not say. */
  get labels(): string[] | null {
    const clause = this.child("AggregateModifier") ?? this.child("MatchingModifierClause");
    return (
      clause
        ?.child("GroupingLabels")
        ?.children("LabelName")
        .map(({ text }) => text) ?? null
    );
  }

  get isManyToOne(): boolean {
    return this.child("MatchingModifierClause")?.child("GroupLeft") !== undefined;
  }
}

/**
 * PromQL as far as the project's own dashboard and alarms use it.
 *
 * @throws Error where it is none, where Prometheus refuses its types, or where it has more than is read here
 */
export function parsePromql(text: string): PromqlNode {
  const tree = parser.parse(text);
  tree.iterate({
    enter({ type, from }) {
      if (type.isError) throw new Error(`no PromQL from "${text.slice(from)}" on: ${text}`);
      if (UNREAD.includes(type.name)) throw new Error(`${type.name} is not read here: ${text}`);
    },
  });
  const expression = new PromqlNode(tree.topNode.getChild("Expr")!, text);
  check(typeOf(expression) !== "range", "a range by itself", expression);
  return expression;
}

function typeOf(node: PromqlNode): string {
  const types = node.operands.map(typeOf);
  switch (node.name) {
    case "NumberDurationLiteral":
      return "number";
    case "ParenExpr":
      return types[0]!;
    case "VectorSelector":
      check(node.child("Identifier") !== undefined, "no metric", node);
      return "instant";
    case "MatrixSelector":
    case "OffsetExpr": {
      // The grammar takes `a / b[5m]` for `(a / b)[5m]`, where Prometheus does not.
      check(/^(Vector|Matrix)Selector$/.test(node.operands[0]!.name), "a time of more than one metric", node);
      const duration = node.child("DurationExpr") ?? node.child("OffsetDurationExpr")!;
      check(DURATION.test(duration.text), "no duration with a unit", node);
      if (node.name === "OffsetExpr") return types[0]!;
      check(types[0] === "instant", "a range of a range", node);
      return "range";
    }
    case "FunctionCall":
    case "AggregateExpr": {
      const takes = ARGUMENTS.get(node.operator);
      check(takes !== undefined, `${node.operator} is not read here`, node);
      check(types.join(", ") === takes, `${node.operator} takes ${takes}`, node);
      return "instant";
    }
    case "BinaryExpr": {
      const copied = node.child("MatchingModifierClause")?.children("GroupingLabels")[1];
      check(copied === undefined, "the labels of group_left are not read here", node);
      check(!types.includes("range"), `${node.operator} takes an instant on both sides`, node);
      check(!node.isManyToOne || !SET_OPERATORS.includes(node.operator), "nothing to group by", node);
      return "instant";
    }
    default:
      throw new Error(`${node.name} is not read here: ${node.text}`);
  }
}

function check(isSo: boolean, otherwise: string, { text }: PromqlNode): void {
  if (!isSo) throw new Error(`${otherwise}: ${text}`);
}
