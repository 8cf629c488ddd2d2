import type { MigrationPlan } from "../../server/migrate.ts";
import { padText } from "./text-width.ts";

const LOCKS = {
  none: "no lock",
  brief: "brief lock",
  batches: "rows in batches",
} as const;
const LOCK_WIDTH = Math.max(...Object.values(LOCKS).map((lock) => lock.length));

type Step = MigrationPlan["steps"][number];
type Stage = Step["stages"][number];

/** Returns the plan of a migration as lines for people. @param kinds the missing steps of packages of kinds */
export function planLines(plan: MigrationPlan, kinds: readonly string[]): string[] {
  const { found, target, steps } = plan;
  const ofKinds = kinds.length === 0 ? [] : [`steps of kinds: ${kinds.join(", ")}`];
  if (steps.length === 0)
    return [...(kinds.length === 0 ? ["nothing to migrate"] : ofKinds), `schema version ${target}`];
  const title = `from ${found ?? "an empty database"} to ${target}: ${steps.length} ${steps.length === 1 ? "step" : "steps"}`;
  if (plan.isOneTransaction) {
    return [`${title}, in one transaction`, ...steps.map(({ step }) => `  ${step}`), ...ofKinds];
  }
  const width = Math.max(...steps.flatMap(({ stages }) => stages.map(({ does }) => does.length)));
  return [title, ...steps.flatMap((step) => stepLines(step, width)), ...ofKinds];
}

function stepLines({ step, runsFrom, stages }: Step, width: number): string[] {
  const older =
    runsFrom === step ? "older programs cannot start on it" : `programs from ${runsFrom} on can start on it`;
  return [`${step} (${older})`, ...stages.map((stage) => stageLine(stage, width))];
}

function stageLine({ does, table, lock, rows, isBuilt }: Stage, width: number): string {
  const size = table === null ? [] : [rows === null ? `${table}: rows unknown` : `${table}: about ${rows} rows`];
  const facts = [...size, ...(isBuilt ? ["built already"] : [])];
  return `  ${padText(does, width)}  ${padText(LOCKS[lock], LOCK_WIDTH)}  ${facts.join(", ")}`.trimEnd();
}

/** Returns the plan of a migration as it is printed with `--json`. */
export function planJson({ found, target, isOneTransaction, steps }: MigrationPlan, kinds: readonly string[]): unknown {
  return {
    found,
    target,
    one_transaction: isOneTransaction,
    steps: steps.map(({ step, runsFrom, stages }) => ({
      step,
      runs_from: runsFrom,
      stages: stages.map(({ isBuilt, ...stage }) => ({ ...stage, is_built: isBuilt })),
    })),
    kinds,
  };
}
