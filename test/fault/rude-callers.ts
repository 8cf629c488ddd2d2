// One caller attacks a server, from a process of its own: with requests that are legal by their size and expensive to
// decode, and with thousands of expensive reads and streams on one connection. Another caller's GetTask may take 5 times
// as long at its p99 as without the attack, and no longer. A part of an attack's name as an argument runs that alone.
//
// The processes share the cores of one machine, so an attacker delays the other caller even by what it computes for
// itself. A third measurement shows that share: a process that calls no server uses as much of the processor.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import type { ClientHttp2Session } from "node:http2";
import { createInterface } from "node:readline";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { quantile } from "../../bench/statistics.ts";
import { connect } from "../../src/client/client.ts";
import { createDatabase } from "../support/postgres.ts";
import { startServerProcess } from "../support/server-process.ts";
import { ATTACKS, BURN, getTask } from "./support/rude-attacks.ts";
import type { AttackEnd, Target } from "./support/rude-attacks.ts";
import { inParallel, runScenario } from "./support/scenario.ts";
import type { Findings } from "./support/scenario.ts";

const TASKS = 2_000;
const RATIO_MAX = 5;
/** Of each measurement. */
const MEASURED_MS = 8_000;
/** Between two calls of the other caller. */
const PAUSE_MS = 5;
/** An attack is under way for so long before it counts. */
const BEGIN_MS = 1_000;
const DAY_MS = 24 * 60 * 60 * 1_000;
const PROGRAM = fileURLToPath(import.meta.resolve("./support/rude-process.ts"));

await runScenario("rude-callers", scenario, { msMax: 480_000 });

async function scenario(findings: Findings): Promise<void> {
  await using database = await createDatabase();
  await using server = await startServerProcess({ environment: { SPOOL_DATABASE_URL: database.url } });
  using client = connect({ address: server.address });
  const { task } = await client.start({ kind: "echo", params: { count: 3 } });
  const runAt = new Date(Date.now() + DAY_MS);
  await inParallel({ total: TASKS, atOnce: 64 }, async () => {
    await client.start({ kind: "echo", params: { count: 3 }, runAt });
  });
  const session = connectHttp2(`http://${server.address}`);
  await measure(session, task.taskId); // Its code is compiled then.
  console.log("GetTask of another caller, p99 in ms (calls measured):");
  console.log("without | attack | ratio | same use of the processor | ratio to that | slowest | attack (its answers)");
  const [, , wanted = ""] = process.argv;
  for (const attack of Object.keys(ATTACKS).filter((name) => name.includes(wanted))) {
    const work = () => measure(session, task.taskId);
    const without = await work();
    const { samples, answers, cpuShare } = await attacked(server, work, { attack });
    const { samples: burning } = await attacked(server, work, { attack: BURN, cpuShare });
    const [before, during, control] = [without, samples, burning].map((each) => quantile(each, 0.99)) as Quantiles;
    const cells = [
      `${before.toFixed(1)} (${without.length})`,
      `${during.toFixed(1)} (${samples.length})`,
      (during / before).toFixed(1),
      `${control.toFixed(1)} (${burning.length}, ${(100 * cpuShare).toFixed(0)}%)`,
      (during / control).toFixed(1),
      Math.max(...samples).toFixed(1),
    ];
    console.log(`${cells.join(" | ")} | ${attack} (${answers})`);
    findings.count("attacks");
    findings.expect(
      during <= RATIO_MAX * before,
      `${attack}: ${during.toFixed(1)} ms after ${before.toFixed(1)} ms, and ${control.toFixed(1)} ms beside a busy process`,
    );
  }
  session.destroy();
}

/** How long each call took, in milliseconds. */
async function measure(session: ClientHttp2Session, taskId: string): Promise<number[]> {
  const samples: number[] = [];
  const until = performance.now() + MEASURED_MS;
  while (performance.now() < until) {
    const begun = performance.now();
    const said = await getTask(session, taskId);
    samples.push(performance.now() - begun);
    if (said !== "grpc-status 0") throw new Error(`GetTask answered with ${said}`);
    await setTimeout(PAUSE_MS);
  }
  return samples;
}

type Quantiles = [before: number, during: number, control: number];

/** @param options `cpuShare`: of a core, that BURN uses */
async function attacked(
  { address, url }: Target,
  work: () => Promise<number[]>,
  { attack, cpuShare = 0 }: { attack: string; cpuShare?: number },
) {
  const target = JSON.stringify({ address, url });
  const child = spawn(process.execPath, [PROGRAM, attack, target, `${cpuShare}`], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const exited = once(child, "exit");
  await lines.next();
  await setTimeout(BEGIN_MS);
  const samples = await work();
  child.stdin.end();
  const ended = JSON.parse(String((await lines.next()).value)) as AttackEnd;
  await exited;
  return { samples, answers: JSON.stringify(ended.answers), cpuShare: ended.cpuShare };
}
