// Two namespaces share a server. A caller of one, in a process of its own, wants many times what its limits allow: it
// starts and follows tasks from 64 loops, as fast as it is let. The calls of the other namespace may take twice as long
// at their p99 as without the noise, and no longer. The noisy namespace gets what its limits allow, and no more.
//
// The processes share the cores of one machine, so the noise delays the other caller even by what it computes for itself.
// A third measurement shows that share: a process that calls no server uses as much of the processor.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { quantile } from "../../bench/statistics.ts";
import { connect } from "../../src/client/client.ts";
import type { SpoolClient } from "../../src/client/client.ts";
import { openConnection } from "../../src/client/transport/connection.ts";
import { setNamespace } from "../../src/client/admin/namespace-calls.ts";
import { createDatabase } from "../support/postgres.ts";
import { startServerProcess } from "../support/server-process.ts";
import type { NoiseEnd } from "./support/noisy-process.ts";
import { runScenario } from "./support/scenario.ts";
import type { Findings } from "./support/scenario.ts";

const RATIO_MAX = 2;
const MEASURED_MS = 15_000;
const BEGIN_MS = 3_000;
/** Between two tasks of the quiet caller. */
const PAUSE_MS = 20;
const STARTS_PER_SECOND = 30;
const LIMITS = { startsPerSecond: STARTS_PER_SECOND, streams: 20, pendingTasks: 500, runningTasks: 8 };
const PROGRAM = fileURLToPath(import.meta.resolve("./support/noisy-process.ts"));

await runScenario("noisy-neighbour", scenario, { msMax: 240_000 });

async function scenario(findings: Findings): Promise<void> {
  await using database = await createDatabase();
  await using server = await startServerProcess({ environment: { SPOOL_DATABASE_URL: database.url } });
  const { address } = server;
  const transport = openConnection({ address });
  await setNamespace(transport, { name: "noisy", limits: LIMITS });
  await setNamespace(transport, { name: "quiet", limits: null });
  using client = connect({ address, namespace: "quiet" });
  await measure(client); // Code is compiled, and both namespaces are served by then.
  const without = await measure(client);
  const noise = await beside(["noise", address], () => measure(client));
  const burning = await beside(["burn", `${noise.end.cpuShare}`], () => measure(client));
  const [before, during, control] = [without, noise.samples, burning.samples].map((each) => quantile(each, 0.99)) as [
    number,
    number,
    number,
  ];
  const ms = (value: number) => `${value.toFixed(1)} ms`;
  findings.record("a task of the quiet namespace, p99", `${ms(before)} without, ${ms(during)} beside the noise`);
  findings.record("ratio", (during / before).toFixed(2));
  findings.record("beside a busy process that calls no server", ms(control));
  findings.record("noise", JSON.stringify(noise.end));
  findings.expect(
    during <= RATIO_MAX * before,
    `${ms(during)} after ${ms(before)}, and ${ms(control)} beside no noise`,
  );
  const { started, refused, seconds } = noise.end;
  findings.expect(refused > 0, "the noise never reached its limit");
  const allowed = STARTS_PER_SECOND * (seconds + 1);
  findings.expect(started <= allowed, `${started} tasks were started where ${allowed} are allowed`);
  findings.expect(started >= allowed / 2, `only ${started} tasks were started where ${allowed} are allowed`);
}

/** How long each task took from its start to its result, in milliseconds. */
async function measure(client: SpoolClient): Promise<number[]> {
  const samples: number[] = [];
  const until = performance.now() + MEASURED_MS;
  while (performance.now() < until) {
    const begun = performance.now();
    const { task } = await client.start({ kind: "echo", params: { count: 3 } });
    await client.result({ taskId: task.taskId, waitMs: 10_000 });
    samples.push(performance.now() - begun);
    await setTimeout(PAUSE_MS);
  }
  return samples;
}

async function beside(args: readonly string[], work: () => Promise<number[]>) {
  const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ["pipe", "pipe", "inherit"] });
  const exited = once(child, "exit");
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  await setTimeout(BEGIN_MS);
  const samples = await work();
  child.stdin.end();
  const end = JSON.parse(String((await lines.next()).value)) as NoiseEnd;
  await exited;
  return { samples, end };
}
