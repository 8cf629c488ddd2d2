import { inspect, isDeepStrictEqual } from "node:util";
import type { Engine } from "../../../src/engine/engine.ts";
import type { Store } from "../../../src/store/database.ts";
import { within } from "../../../src/async/time-limit.ts";
import { seedOf } from "../../support/choices.ts";
import { startEngine } from "../../support/engines.ts";
import type { TestEngine } from "../../support/engines.ts";
import { EngineRun } from "./engine-run.ts";
import { generate } from "./generate.ts";
import { Model } from "./model.ts";
import type { Answer, Program } from "./program.ts";
import { ScriptedCode } from "./scripted-code.ts";

const CALL_MS_MAX = 60_000;
/** How many programs share the engines of one namespace. */
const PROGRAMS_A_NAMESPACE = 500;

/** A call whose answer is not what the model says. */
export interface Difference {
  seed: number;
  program: Program;
  /** The number of the call in the program, from 0. */
  index: number;
  expected: Answer;
  actual: Answer;
}

/** Runs a program on engines and on the model. @returns the first difference; null: there is none */
async function compare(
  { engines, code }: { engines: readonly Engine[]; code: ScriptedCode },
  program: Program,
): Promise<Omit<Difference, "seed"> | null> {
  const model = new Model();
  const run = new EngineRun(engines, code);
  try {
    for (const [index, call] of program.entries()) {
      const expected = model.answer(call);
      const answered = run.answer(call, model).catch((error: unknown) => ({ thrown: String(error) }));
      const actual = (await within(answered, CALL_MS_MAX)) ?? { noAnswer: `after ${CALL_MS_MAX} ms` };
      if (!isDeepStrictEqual(actual, expected)) return { program, index, expected, actual };
      const settled = run.settle(call, expected, model).then(
        () => null,
        (error: unknown) => ({ thrown: String(error) }),
      );
      const failure = await within(settled, CALL_MS_MAX);
      if (failure !== null) {
        const actual = failure ?? { noEffect: `after ${CALL_MS_MAX} ms` };
        return { program, index, expected: { tasks: model.tasks.map(({ status }) => status) }, actual };
      }
    }
    return null;
  } finally {
    run.finish();
  }
}

/** What was compared. */
export interface Comparison {
  programs: number;
  calls: number;
  differences: Difference[];
}

interface Progress {
  /** Whether no further program is begun. */
  isOver: () => boolean;
  /** Called after each program. */
  onProgram: (programs: number, differed: number) => void;
}

/**
 * Runs many programs on a store.
 *
 * @param servers how many servers the namespace has, which get the calls in turn
 * @param atOnce how many programs run at the same time
 */
export async function comparePrograms(
  store: Store,
  options: { seed: number; programs: number; servers: number; atOnce: number } & Partial<Progress>,
): Promise<Comparison> {
  const { seed, programs, servers, atOnce, isOver = () => false, onProgram = () => {} } = options;
  const comparison: Comparison = { programs: 0, calls: 0, differences: [] };
  for (let begun = 0; begun < programs && !isOver();) {
    const code = new ScriptedCode();
    await using stack = new AsyncDisposableStack();
    const engines = await startEngines(store, { servers, code, stack });
    const end = Math.min(programs, begun + PROGRAMS_A_NAMESPACE);
    const runNext = async () => {
      while (begun < end && !isOver()) {
        const own = seedOf(seed, begun++);
        const program = generate(own);
        const difference = await compare({ engines, code }, program);
        comparison.programs++;
        comparison.calls += program.length;
        if (difference !== null) comparison.differences.push({ seed: own, ...difference });
        onProgram(comparison.programs, comparison.differences.length);
      }
    };
    await Promise.all(Array.from({ length: atOnce }, runNext));
  }
  return comparison;
}

async function startEngines(
  store: Store,
  { servers, code, stack }: { servers: number; code: ScriptedCode; stack: AsyncDisposableStack },
): Promise<TestEngine[]> {
  const namespace = crypto.randomUUID();
  const engines: TestEngine[] = [];
  for (let count = 0; count < servers; count++) {
    // A lease that a computer under load does not miss, and more slots than there are tasks.
    const settings = { namespace, kinds: code.kinds, slots: 4_000, leaseMs: 300_000, cancelGraceMs: 300_000 };
    engines.push(stack.use(await startEngine(store, settings)));
  }
  return engines;
}

/** Returns a difference as text, with the calls that lead to it. */
export function describeDifference({ seed, program, index, expected, actual }: Difference): string {
  const calls = program.slice(0, index + 1).map((call) => `  ${JSON.stringify(call)}`);
  const show = (answer: Answer) => inspect(answer, { depth: 9 });
  return [
    `✗ the program of seed ${seed} differs in its call ${index + 1}:`,
    ...calls,
    `expected ${show(expected)}`,
    `actual ${show(actual)}`,
  ].join("\n");
}

/** Removes calls from a program as long as it still differs. */
export async function shrink(store: Store, difference: Difference, servers: number): Promise<Difference> {
  const { program, seed } = difference;
  const code = new ScriptedCode();
  await using stack = new AsyncDisposableStack();
  const engines = await startEngines(store, { servers, code, stack });
  let shortest = await compare({ engines, code }, program);
  if (shortest === null) return difference; // It differs only beside other programs, or at times.
  for (let index = shortest.index; index >= 0; index--) {
    const calls: Program = shortest.program.slice(0, shortest.index + 1).toSpliced(index, 1);
    const shorter = await compare({ engines, code }, calls);
    if (shorter !== null) shortest = shorter;
  }
  return { seed, ...shortest, program: shortest.program.slice(0, shortest.index + 1) };
}
