// One caller attacks a server, from a process of its own: with requests that are legal by their size and expensive to
// decode, and with thousands of expensive reads and streams on one connection. Another caller's GetTask may take 5 times
// as long at its p99 as without the attack, and no longer. A part of an attack's name as an argument runs that alone.

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
import { ATTACKS, getTask } from "./support/rude-attacks.ts";
import type { Target } from "./support/rude-attacks.ts";
import { inParallel, runScenario } from "./support/scenario.ts";
import type { Findings } from "./support/scenario.ts";

const TASKS = 2_000;
const RATIO_MAX = 5;
/** Of each measurement. */
const MEASURED_MS = 6_000;
/** Between two calls of the other caller. */
const PAUSE_MS = 5;
/** An attack is under way for so long before it counts. */
const BEGIN_MS = 1_000;
const DAY_MS = 24 * 60 * 60 * 1_000;
const PROGRAM = fileURLToPath(import.meta.resolve("./support/rude-process.ts"));

await runScenario("rude-callers", scenario, { msMax: 300_000 });

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
  console.log(`GetTask of another caller, p99 in ms: without | during | ratio | slowest | attack (its answers)`);
  const [, , wanted = ""] = process.argv;
  for (const attack of Object.keys(ATTACKS).filter((name) => name.includes(wanted))) {
    const without = await measure(session, task.taskId);
    const { during, answers } = await attacked(attack, server, () => measure(session, task.taskId));
    const [before, after] = [quantile(without, 0.99), quantile(during, 0.99)];
    const figures = [before, after, after / before, Math.max(...during)].map((figure) => figure.toFixed(1).padStart(7));
    console.log(`${figures.join(" | ")} | ${attack} (${answers})`);
    findings.count("attacks");
    findings.expect(after <= RATIO_MAX * before, `${attack}: ${after.toFixed(1)} ms after ${before.toFixed(1)} ms`);
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

async function attacked(attack: string, { address, url }: Target, work: () => Promise<number[]>) {
  const child = spawn(process.execPath, [PROGRAM, attack, JSON.stringify({ address, url })], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const exited = once(child, "exit");
  await lines.next();
  await setTimeout(BEGIN_MS);
  const during = await work();
  child.stdin.end();
  const answers = String((await lines.next()).value);
  await exited;
  return { during, answers };
}
