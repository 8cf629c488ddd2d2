// A streaming standby is promoted while the old primary stays up, takes no writes and answers reads, and while the open
// connections of the servers stay with it: only new ones go to the promoted one. With synchronous replication nothing
// may be lost; without, what is lost is exactly what Postgres has lost. And nobody is shown what the old one has for
// longer than two seconds.

import { isDeepStrictEqual } from "node:util";
import { setTimeout } from "node:timers/promises";
import { SpoolRpcError } from "../../src/client/client.ts";
import type { SpoolClient, SpoolEvent, StartRequest } from "../../src/client/client.ts";
import { ask, startPair } from "./support/failing-over.ts";
import type { PostgresPair } from "./support/failing-over.ts";
import { flaky, steps } from "./support/kinds.ts";
import { startReplicas } from "./support/replicas.ts";
import type { Replicas } from "./support/replicas.ts";
import { pick, runScenario } from "./support/scenario.ts";
import type { Findings } from "./support/scenario.ts";
import { faultsOf, followerFaults, readTapes } from "./support/tapes.ts";
import type { StoredTape } from "./support/tapes.ts";

const REPLICAS = 2;
const STARTERS = 8;
/** Tasks are started for so long before the failover, and after it. */
const BEFORE_MS = 4_000;
const AFTER_MS = 5_000;
/** So long the standby hears nothing before it is promoted, where it may lag. */
const LAG_MS = 700;
const STALE_MS_MAX = 2_000;
const READ_EVERY_MS = 20;
/** What was started has its end by then. */
const END_MS_MAX = 60_000;
const SCENARIO_MS_MAX = 240_000;

type Tapes = ReadonlyMap<string, StoredTape>;

interface Followed {
  taskId: string;
  events: SpoolEvent[];
  over: Promise<void>;
}

function anyRequest(): StartRequest {
  return pick<StartRequest>([
    { kind: steps.name, params: { events: 40, every_ms: 10 }, maxAttempts: 3 },
    { kind: steps.name, params: { events: 100, every_ms: 40 }, maxAttempts: 3 },
    { kind: "echo", params: { count: 5, delay_ms: 3 } },
    { kind: flaky.name, params: { events: 3, failing_attempts: 1 }, maxAttempts: 3 },
  ]);
}

/** Follows a task to its end, over the client's own reconnects. */
function follow(client: SpoolClient, taskId: string): Followed {
  const events: SpoolEvent[] = [];
  const read = async () => {
    for await (const event of client.follow({ taskId })) events.push(event);
  };
  // One whose task was lost gets no end; the checks go by what it was given.
  return { taskId, events, over: read().catch(() => {}) };
}

async function startTasks(replicas: Replicas, started: Map<string, Followed>, signal: AbortSignal) {
  const starter = async () => {
    while (!signal.aborted) {
      const { task } = await pick(replicas).client.start(anyRequest());
      started.set(task.taskId, follow(pick(replicas).client, task.taskId));
      await setTimeout(READ_EVERY_MS);
    }
  };
  await Promise.all(Array.from({ length: STARTERS }, starter));
}

/** Reads a task that only the new primary has in its new state, at every server, until the signal fires. */
async function readMarker(
  replicas: Replicas,
  {
    taskId,
    since,
    signal,
    say,
  }: { taskId: string; since: number; signal: AbortSignal; say: (what: string, ms?: number) => void },
): Promise<void> {
  await Promise.all(
    replicas.map(async ({ client }) => {
      for (; !signal.aborted; await setTimeout(READ_EVERY_MS)) {
        const sentAt = performance.now() - since;
        try {
          const { labels } = await client.get({ taskId });
          if (labels["at"] === "new") say("fresh reads");
          else say("stale reads", sentAt);
        } catch (error) {
          if (!(error instanceof SpoolRpcError)) throw error;
          say(`reads refused as ${error.code}`);
        }
      }
    }),
  );
}

async function failOver(pair: PostgresPair, replicas: Replicas, findings: Findings, mode: string): Promise<Tapes> {
  const { task: marker } = await replicas[0]!.client.start({ kind: "echo", params: { count: 0 } });
  await replicas[0]!.client.waitFinal({ taskId: marker.taskId, timeoutMs: END_MS_MAX });
  if (mode === "asynchronous") {
    await setTimeout(LAG_MS); // Until the marker is at the standby.
    pair.cutReplication();
    await setTimeout(LAG_MS);
  }
  const since = performance.now();
  await pair.demote();
  await pair.promote();
  const atPromotion = await readTapes(pair.standby.url);
  await ask(pair.standby.url, `update tasks set labels = '{"at": "new"}' where task_id = $1`, [marker.taskId]);
  findings.record(
    `${mode}: ms from the old primary's last write to the new one's first`,
    Math.round(performance.now() - since),
  );
  let lastStaleMs = 0;
  const over = new AbortController();
  const reading = readMarker(replicas, {
    taskId: marker.taskId,
    since,
    signal: over.signal,
    say(what, staleMs) {
      findings.count(`${mode}: ${what}`);
      if (staleMs !== undefined) lastStaleMs = Math.max(lastStaleMs, staleMs);
    },
  });
  await setTimeout(AFTER_MS);
  over.abort();
  await reading;
  findings.record(`${mode}: ms after which the last stale read was sent`, Math.round(lastStaleMs));
  findings.expect(
    lastStaleMs <= STALE_MS_MAX,
    `${mode}: a read was stale ${Math.round(lastStaleMs)} ms after the demotion`,
  );
  return atPromotion;
}

function hasEvent(tapes: Tapes, taskId: string, event: { seq: number; body: unknown }): boolean {
  const found = tapes.get(taskId)?.events[event.seq - 1];
  return found !== undefined && isDeepStrictEqual(found.body, event.body);
}

/** Nothing may be missing but what the standby had not got when it was promoted. */
function checkLosses(
  findings: Findings,
  mode: string,
  parts: Record<"old" | "atPromotion" | "now", Tapes>,
  started: ReadonlyMap<string, Followed>,
) {
  const { old, atPromotion, now } = parts;
  let [lostTasks, lostEvents] = [0, 0];
  for (const taskId of started.keys()) {
    if (now.has(taskId)) continue;
    lostTasks++;
    const isPostgres = old.has(taskId) && !atPromotion.has(taskId);
    findings.expect(
      isPostgres,
      `${mode}: start ${taskId} was answered and is not there, and it was not Postgres that lost it`,
    );
  }
  for (const { taskId, events } of old.values()) {
    for (const event of events) if (!hasEvent(atPromotion, taskId, event)) lostEvents++;
  }
  for (const { taskId, events } of atPromotion.values()) {
    for (const event of events)
      findings.expect(
        hasEvent(now, taskId, event),
        `${mode}: task ${taskId} has lost event ${event.seq}, which the standby had`,
      );
  }
  findings.record(`${mode}: starts lost by Postgres`, lostTasks);
  findings.record(`${mode}: events lost by Postgres`, lostEvents);
  if (mode === "synchronous")
    findings.expect(lostTasks + lostEvents === 0, "a synchronous standby lacks what was committed");
  else findings.expect(lostEvents > 0, "asynchronous: nothing was lost, so nothing was tried");
}

/** What of a tape may not be wrong though its attempt has lost events to Postgres. */
const LOSSLESS = /^it is (pending|running)|seqs are not|last_seq is| final, or not the last|final says/;

function checkTapes(
  findings: Findings,
  mode: string,
  parts: Record<"old" | "now", Tapes>,
  started: ReadonlyMap<string, Followed>,
) {
  const { old, now } = parts;
  for (const tape of now.values()) {
    findings.count(`${mode}: tasks ${tape.status}`);
    findings.count(`${mode}: events`, tape.events.length);
    const faults = faultsOf(tape).filter((fault) => mode === "synchronous" || LOSSLESS.test(fault));
    const followed = started.get(tape.taskId);
    if (followed !== undefined && mode === "synchronous") faults.push(...followerFaults(followed.events, tape));
    if (faults.length > 0) findings.violation(`${mode}: task ${tape.taskId} (${tape.kind}):`, faults);
  }
  if (mode === "synchronous") return;
  for (const { taskId, events } of started.values()) {
    const unknown = events.find(({ seq }) => {
      const at = Number(seq) - 1;
      return now.get(taskId)?.events[at] === undefined && old.get(taskId)?.events[at] === undefined;
    });
    findings.expect(
      unknown === undefined,
      `${mode}: a follower of ${taskId} saw event ${unknown?.seq}, which nobody has stored`,
    );
  }
}

async function untilEnded(url: string, findings: Findings, mode: string): Promise<void> {
  const since = performance.now();
  for (;;) {
    const [row] = await ask(url, "select count(*)::int as n from tasks where finished_at is null");
    if (row!["n"] === 0)
      return findings.record(
        `${mode}: seconds until the last task had ended`,
        ((performance.now() - since) / 1_000).toFixed(1),
      );
    if (performance.now() - since > END_MS_MAX)
      return findings.violation(`${mode}: ${String(row!["n"])} tasks have not ended`);
    await setTimeout(READ_EVERY_MS * 5);
  }
}

async function tryFailover(mode: "synchronous" | "asynchronous", findings: Findings): Promise<void> {
  await using pair = await startPair({ isSynchronous: mode === "synchronous" });
  await using replicas = await startReplicas({ count: REPLICAS, databaseUrl: pair.url });
  const started = new Map<string, Followed>();
  const stop = new AbortController();
  const starting = startTasks(replicas, started, stop.signal);
  starting.catch(() => {}); // Thrown where it is awaited.
  await setTimeout(BEFORE_MS);
  const atPromotion = await failOver(pair, replicas, findings, mode);
  stop.abort();
  await starting;
  findings.record(`${mode}: starts answered`, started.size);
  await untilEnded(pair.standby.url, findings, mode);
  const followers = [...started.values()];
  const areOver = Promise.all(followers.map(({ over }) => over));
  // One whose task was lost waits until its client is closed.
  await (mode === "synchronous" ? areOver : Promise.race([areOver, setTimeout(STALE_MS_MAX)]));
  const [old, now] = [await readTapes(pair.primary.url), await readTapes(pair.standby.url)];
  checkLosses(findings, mode, { old, atPromotion, now }, started);
  checkTapes(findings, mode, { old, now }, started);
}

await runScenario(
  "failover",
  async (findings) => {
    console.log(
      `A standby is promoted under ${REPLICAS} servers and their load, while the primary stays up and takes no writes`,
    );
    await tryFailover("synchronous", findings);
    await tryFailover("asynchronous", findings);
  },
  { msMax: SCENARIO_MS_MAX },
);
