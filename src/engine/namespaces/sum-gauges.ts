import type { EngineGauges } from "../api/engine-observer.ts";

/** Sums up the gauges of engines. Budgets that they share count once, and the longest delay counts. */
export function sumGauges(all: readonly EngineGauges[]): EngineGauges {
  const running = new Map<string, number>();
  for (const gauges of all) {
    for (const [kind, count] of gauges.running) running.set(kind, (running.get(kind) ?? 0) + count);
  }
  const sum = (of: (gauges: EngineGauges) => number) => all.reduce((total, gauges) => total + of(gauges), 0);
  return {
    running,
    budgets: new Set(all.flatMap(({ budgets }) => [...budgets])),
    unstoredEnds: sum(({ unstoredEnds }) => unstoredEnds),
    removalOverdueMs: Math.max(0, ...all.map(({ removalOverdueMs }) => removalOverdueMs)),
    workers: sum(({ workers }) => workers),
    tapeFollowers: sum(({ tapeFollowers }) => tapeFollowers),
    taskFollowers: sum(({ taskFollowers }) => taskFollowers),
    feedPages: sum(({ feedPages }) => feedPages),
    cachedPages: sum(({ cachedPages }) => cachedPages),
    storePages: sum(({ storePages }) => storePages),
  };
}
