// From emit on one replica to a follower on another: within milliseconds with NOTIFY, within the poll's second without.
// One replica alone sends no NOTIFY at all.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import pg from "pg";
import { machineMs } from "../../bench/clock.ts";
import { paced } from "../../bench/kinds.ts";
import { quantile } from "../../bench/statistics.ts";
import { createDatabase } from "../support/postgres.ts";
import { eventually } from "../support/eventually.ts";
import { startReplicas, untilReady } from "./support/replicas.ts";
import type { Replicas } from "./support/replicas.ts";
import { runScenario } from "./support/scenario.ts";
import type { Findings } from "./support/scenario.ts";

const KINDS = [join(import.meta.dirname, "../../bench/kinds.ts")];
const NAMESPACE = "wakeups";
const CHANNEL = `spool_${createHash("sha256").update(NAMESPACE).digest("hex").slice(0, 16)}`;
const TASKS_ALONE = 50;
const ON = { events: 300, per_second: 50, p50MsMax: 15 };
/** Slow, and not in step with the second of the polls, so that the events fall anywhere between two of them. */
const OFF = { events: 40, per_second: 3.3, p50MsMax: 1_200 };

/** Delays from emit on the first replica to a follower on the second. */
async function measure(findings: Findings, [owner, other]: Replicas, load: typeof ON): Promise<number[]> {
  const { events, per_second } = load;
  const { task } = await owner!.client.start({ kind: paced.name, params: { events, per_second } });
  findings.expect(task.status === "running", "the task does not run where it was started", task);
  const delaysMs: number[] = [];
  for await (const event of other!.client.follow({ taskId: task.taskId })) {
    if (event.type === "progress") delaysMs.push(machineMs() - Number(event.detail!["at"]));
  }
  findings.expect(delaysMs.length === events, `${delaysMs.length} of ${events} events came`);
  return delaysMs;
}

function report(findings: Findings, name: string, delaysMs: readonly number[], { p50MsMax }: typeof ON): void {
  const [p50, p99] = [quantile(delaysMs, 0.5), quantile(delaysMs, 0.99)];
  const figures = `p50 ${p50.toFixed(1)}, p99 ${p99.toFixed(1)} of ${delaysMs.length} events`;
  findings.record(`emit to a follower elsewhere, ${name}, ms`, figures);
  findings.expect(p50 <= p50MsMax, `p50 is ${p50.toFixed(1)} ms with ${name}, the bound is ${p50MsMax} ms`);
}

/** Hears what is sent on the service's channel. */
class Ear {
  readonly #client: pg.Client;
  readonly #onEnd = Promise.withResolvers<void>();
  heard = 0;

  private constructor(client: pg.Client) {
    this.#client = client;
    client.on("notification", ({ payload }) => {
      if (payload === "end") this.#onEnd.resolve();
      else this.heard++;
    });
  }

  static async open(url: string): Promise<Ear> {
    const client = new pg.Client(url);
    const ear = new Ear(client);
    await client.connect();
    await client.query(`listen ${CHANNEL}`);
    return ear;
  }

  /** Waits until the sessions of the namespace have been renewed, each of them. */
  async untilRenewed(): Promise<void> {
    const renewals = async () => (await this.#client.query("select session_id, expires_at from sessions")).rows;
    const before = JSON.stringify(await renewals());
    await eventually(async () => assert.notEqual(JSON.stringify(await renewals()), before));
  }

  /** Waits until all that was sent before has been heard: notifications come in the order of their commits. */
  async close(): Promise<void> {
    await this.#client.query(`notify ${CHANNEL}, 'end'`);
    await this.#onEnd.promise;
    await this.#client.end();
  }
}

async function withNotify(findings: Findings): Promise<void> {
  await using database = await createDatabase();
  await using replicas = await startReplicas({
    count: 2,
    databaseUrl: database.url,
    kinds: KINDS,
    environment: { SPOOL_NAMESPACE: NAMESPACE, SPOOL_LEASE_MS: "2000" },
  });
  const [first, second] = replicas;
  const ear = await Ear.open(database.url);
  const runTask = async () => {
    const { events } = await first!.client.run({ kind: "echo" });
    for await (const _ of events);
  };
  // The ear proves itself: with a peer there, each knows of the other soon, and it hears of every task.
  await eventually(async () => {
    await runTask();
    assert.ok(ear.heard > 0);
  });
  report(findings, "with NOTIFY", await measure(findings, replicas, ON), ON);
  findings.record("notifications with two replicas", ear.heard);

  await second!.stop();
  // A replica looks who else is there whenever it has renewed its session: by the second time it has seen for sure.
  await ear.untilRenewed();
  await ear.untilRenewed();
  const before = ear.heard;
  for (let task = 0; task < TASKS_ALONE; task++) await runTask();
  await first!.stop(); // In order: what it had still gathered would be sent.
  await ear.close();
  findings.record(`notifications over ${TASKS_ALONE} tasks of one replica alone`, ear.heard - before);
  findings.expect(ear.heard === before, "a replica alone sends notifications");
}

async function withoutNotify(findings: Findings): Promise<void> {
  await using database = await createDatabase();
  await using replicas = await startReplicas({
    count: 2,
    databaseUrl: database.url,
    kinds: KINDS,
    environment: { SPOOL_NOTIFY: "off" },
  });
  await untilReady(replicas);
  report(findings, "SPOOL_NOTIFY=off", await measure(findings, replicas, OFF), OFF);
}

await runScenario("wakeups", async (findings) => {
  console.log(
    `a task on one of two replicas, followed on the other: ${ON.events} events, then ${OFF.events} without NOTIFY`,
  );
  await withNotify(findings);
  await withoutNotify(findings);
});
