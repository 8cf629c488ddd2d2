// A caller asks for tasks that it may not see and for tasks that do not exist, in pairs, in alternating order, and measures
// each call. The time must not tell the two apart: for tasks of another namespace and of another label, by GetTask,
// StreamEvents and CancelTask. The rows of the foreign tasks are large.
//
// The criterion comes from a planted difference, one more statement for one of two missing tasks: the interval of the
// median difference (a bootstrap, 99.9 %) must not lie beyond a fifth of the planted difference, and must be narrow
// enough to have found it. `-- --pairs 500` measures fewer pairs; `--seed N` repeats the bootstrap.

import { parseArgs } from "node:util";
import { median } from "../../bench/statistics.ts";
import { ALL_GRANTS } from "../../src/domain/principal.ts";
import type { Grants } from "../../src/domain/principal.ts";
import type { TaskEngine } from "../../src/engine/api/task-engine.ts";
import { TaskService } from "../../src/gen/spool/v1/task_service_pb.ts";
import { memoryCredentials } from "../access/credentials.ts";
import { openAccessServer, OTHER_NAMESPACE } from "../access/served.ts";
import { RawClient } from "../rpc/raw-client.ts";
import { SeededRandom } from "./support/random.ts";
import { runScenario } from "./support/scenario.ts";
import type { Findings } from "./support/scenario.ts";

const PAIRS_DEFAULT = 5_000;
/** So many pairs are made before the measurement: code is compiled then. */
const WARM_UP = 200;
const TASKS = 100;
const PARAMS_CHARS = 65_536;
const LABELS = 31;
const LABEL_CHARS = 200;
const SAMPLES = 2_000;
/** The part of the samples that lies on each side of the interval. */
const TAIL = 0.0005;
const MARGIN_SHARE = 1 / 5;
const SCENARIO_MS_MAX = 900_000;

const { values } = parseArgs({ options: { pairs: { type: "string" }, seed: { type: "string" } } });
const pairs = Number(values.pairs ?? PAIRS_DEFAULT);
const random = new SeededRandom(Number(values.seed ?? Date.now() % 1_000_000));

const METHODS = {
  GetTask: (client: RawClient, taskId: string, metadata: Record<string, string>) =>
    client.unary(TaskService.method.getTask, { taskId }, { metadata }),
  StreamEvents: async (client: RawClient, taskId: string, metadata: Record<string, string>) => {
    for await (const _ of client.stream(TaskService.method.streamEvents, { taskId }, { metadata })) break;
  },
  CancelTask: (client: RawClient, taskId: string, metadata: Record<string, string>) =>
    client.unary(TaskService.method.cancelTask, { taskId }, { metadata }),
};

/** Callers who may not see the tasks, by why. */
const CALLERS: Readonly<Record<string, Partial<Grants>>> = {
  "another namespace": { namespaces: [OTHER_NAMESPACE] },
  "another label": { labels: { team: "other" } },
  "another kind": { kinds: ["other*"] },
};

await runScenario("foreign-timing", scenario, { msMax: SCENARIO_MS_MAX });

async function scenario(findings: Findings): Promise<void> {
  findings.record("seed", random.seed);
  findings.record("pairs of each kind", pairs);
  const credentials = memoryCredentials();
  const slow = new Set<string>();
  await using server = await openAccessServer(credentials, { wrap: (engine) => withSlowIds(engine, slow) });
  using client = new RawClient(server.grpcPort);
  const text = () => Buffer.from(Array.from({ length: LABEL_CHARS }, () => 97 + random.next() * 26)).toString();
  const params = { text: "x".repeat(PARAMS_CHARS) };
  const labels = Object.fromEntries(Array.from({ length: LABELS }, (_, index) => [`label-${index}`, text()]));
  const foreign = [];
  for (let count = 0; count < TASKS; count++) foreign.push(await server.makeTask({ params, labels }));
  const missing = foreign.map(twinOf);
  const measure = async (method: keyof typeof METHODS, grants: Partial<Grants>, ids: [string[], string[]]) => {
    const authorization = credentials.issue({ ...ALL_GRANTS, ...grants, name: "prober" }, "valid");
    const call = async (taskId: string) => {
      const begun = performance.now();
      const found = await METHODS[method](client, taskId, { authorization }).then(
        () => true,
        () => false,
      );
      if (found && !slow.has(taskId)) findings.violation(`${method} has found a foreign task`);
      return (performance.now() - begun) * 1_000;
    };
    await measurePairs(ids, WARM_UP, call);
    return compare(await measurePairs(ids, pairs, call));
  };

  for (const id of missing.map(twinOf)) slow.add(id);
  // For a caller whose refusals are not made to take an even time.
  const planted = await measure("GetTask", CALLERS["another namespace"]!, [[...slow], missing]);
  const margin = planted.difference * MARGIN_SHARE;
  findings.record("planted, one more statement", textOf(planted));
  findings.record("margin", `${margin.toFixed(1)} µs`);
  findings.expect(planted.low > margin, "the planted difference was not detected", planted);
  for (const [why, grants] of Object.entries(CALLERS)) {
    for (const method of Object.keys(METHODS) as (keyof typeof METHODS)[]) {
      const result = await measure(method, grants, [foreign, missing]);
      findings.record(`${method}, ${why}`, textOf(result));
      const { low, high } = result;
      findings.expect(low <= margin && high >= -margin, `${method}, ${why}: the time tells a foreign task`, result);
      findings.expect(high - low < planted.difference, `${method}, ${why}: too few pairs to tell`, result);
    }
  }
}

/** An engine that takes one more statement to answer GetTask of some ids. */
function withSlowIds(engine: TaskEngine, slow: ReadonlySet<string>): TaskEngine {
  return new Proxy(engine, {
    get(target, name: keyof TaskEngine) {
      const method = target[name].bind(target) as (...args: unknown[]) => unknown;
      if (name !== "getTask") return method;
      return async (taskId: string, ...rest: unknown[]) => {
        if (slow.has(taskId)) await target.listSessions();
        return method(taskId, ...rest);
      };
    },
  });
}

/** Returns an id of no task, near the id of a task. */
function twinOf(taskId: string): string {
  const [last] = taskId.slice(-1);
  return taskId.slice(0, -1) + ((Number.parseInt(last!, 16) + 1) % 16).toString(16);
}

/** Measures pairs of calls, in alternating order. @returns the times of both, in µs */
async function measurePairs(
  [ones, others]: readonly [readonly string[], readonly string[]],
  count: number,
  call: (taskId: string) => Promise<number>,
): Promise<{ one: number[]; other: number[] }> {
  const one: number[] = [];
  const other: number[] = [];
  for (let index = 0; index < count; index++) {
    const [oneId, otherId] = [ones[index % ones.length]!, others[index % others.length]!];
    if (index % 2 === 0) one.push(await call(oneId));
    other.push(await call(otherId));
    if (index % 2 === 1) one.push(await call(oneId));
  }
  return { one, other };
}

interface Comparison {
  /** Medians, in µs. */
  one: number;
  other: number;
  /** The median of the differences of the pairs, and its interval. */
  difference: number;
  low: number;
  high: number;
}

function compare({ one, other }: { one: readonly number[]; other: readonly number[] }): Comparison {
  const differences = one.map((time, index) => time - other[index]!);
  const medians = Array.from({ length: SAMPLES }, () =>
    median(differences.map(() => differences[Math.floor(random.next() * differences.length)]!)),
  ).toSorted((a, b) => a - b);
  return {
    one: median(one),
    other: median(other),
    difference: median(differences),
    low: medians[Math.floor(SAMPLES * TAIL)]!,
    high: medians[SAMPLES - 1 - Math.floor(SAMPLES * TAIL)]!,
  };
}

function textOf({ one, other, difference, low, high }: Comparison): string {
  const [a, b, d, from, to] = [one, other, difference, low, high].map((value) => value.toFixed(1));
  return `median ${a} µs, of a missing task ${b} µs, difference ${d} µs (${from} to ${to})`;
}
