import { stopPostgres } from "../../support/postgres.ts";

/** A scenario that takes longer is broken, whatever it waits for, unless it says how long it may take. */
const SCENARIO_MS_MAX_DEFAULT = 90_000;
/** Of the violations so many are printed; all are counted. */
const PRINTED_MAX = 20;

/** What a scenario counts, measures and finds. */
export class Findings {
  readonly #counts = new Map<string, number | string>();
  violations = 0;

  count(name: string, by = 1): void {
    this.#counts.set(name, Number(this.#counts.get(name) ?? 0) + by);
  }

  countOf(name: string): number {
    return Number(this.#counts.get(name) ?? 0);
  }

  /** A figure, or a sentence with some. */
  record(name: string, value: number | string): void {
    this.#counts.set(name, value);
  }

  /** Something that must hold does not. */
  violation(what: string, ...details: unknown[]): void {
    this.violations++;
    if (this.violations <= PRINTED_MAX) console.error(`violation: ${what}`, ...details);
  }

  expect(holds: boolean, what: string, ...details: unknown[]): void {
    if (!holds) this.violation(what, ...details);
  }

  print(): void {
    for (const [name, value] of this.#counts) console.log(`${name}: ${value}`);
    console.log(`violations: ${this.violations}`);
  }
}

/**
 * Runs a scenario, within its time, and prints what it found: the counts, then `NAME: ok` or `NAME: BROKEN`, with the
 * exit code to match. A scenario that throws is broken too.
 */
export async function runScenario(
  name: string,
  scenario: (findings: Findings) => Promise<void>,
  { msMax = SCENARIO_MS_MAX_DEFAULT }: { msMax?: number } = {},
): Promise<void> {
  const startedAt = performance.now();
  const findings = new Findings();
  const timer = setTimeout(() => {
    findings.print();
    console.log(`${name}: BROKEN (not over after ${msMax / 1_000} s)`);
    process.exit(1); // What was started goes down with this process: servers by its exit handler, Postgres by its guard.
  }, msMax);
  try {
    await scenario(findings);
  } catch (error) {
    findings.violation("the scenario could not go on", error);
  } finally {
    clearTimeout(timer);
    await stopPostgres();
  }
  findings.print();
  console.log(`seconds: ${((performance.now() - startedAt) / 1_000).toFixed(1)}`);
  console.log(`${name}: ${findings.violations === 0 ? "ok" : `BROKEN (${findings.violations} violations)`}`);
  process.exitCode = findings.violations === 0 ? 0 : 1;
}

/** Does `work` for 0, 1, … below `total`, so many at once. */
export async function inParallel(
  { total, atOnce }: { total: number; atOnce: number },
  work: (index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < total) await work(next++);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, total) }, worker));
}

export function pick<Item>(items: readonly Item[]): Item {
  return items[Math.floor(Math.random() * items.length)]!;
}
