// A task emits the 40,000 deltas of a text, another one deltas between states and logs. Readers begin at 200 random seqs
// of each tape, in both views: a quarter each while the task runs, after its end, while its tape is packed, and after
// that. Each reader gets exactly the rest of the text, and the last state. Most readers of the recorded view stop after
// 3,000 events.
// `npm run fault -- folding 800` takes four times as many.

import { join } from "node:path";
import pg from "pg";
import { SeriesReader } from "../../src/client/client.ts";
import type { EventView, SpoolClient, SpoolEvent } from "../../src/client/client.ts";
import { openDatabase } from "../../src/store/database.ts";
import { packNextTapes } from "../../src/store/tapes/packing.ts";
import { createDatabase } from "../support/postgres.ts";
import { startReplicas, untilReady } from "./support/replicas.ts";
import { inParallel, pick, runScenario } from "./support/scenario.ts";
import type { Findings } from "./support/scenario.ts";
import { tokenEvents, tokens } from "./support/token-kinds.ts";

const KINDS = [join(import.meta.dirname, "support/token-kinds.ts")];
const CUTS = Number(process.argv[2] ?? 200);
const PHASES = 4;
const READERS_AT_ONCE = 6;
const LOADS = [
  { deltas: 40_000, mixed: false, pause_ms: 10 },
  { deltas: 10_000, mixed: true, pause_ms: 20 },
];
const NAMESPACE = "folding";
/** Readers of the recorded view stop after so many events, except every tenth. */
const RECORDED_MAX = 3_000;
const SCENARIO_MS_MAX = 15 * 60_000;

/** What must be read from each seq of a tape on. */
interface Expected {
  /** With `started` and `final`. */
  events: number;
  text: string;
  /** By seq: how long the text is before the event, and the states before it. */
  textBefore: number[];
  statesBefore: number[];
  states: unknown[];
}

interface Task {
  taskId: string;
  name: string;
  expected: Expected;
}

function expectedOf(load: (typeof LOADS)[number]): Expected {
  const emitted = tokenEvents(load);
  const events = emitted.length + 2;
  const textBefore = [0, 0, 0];
  const statesBefore = [0, 0, 0];
  const states: unknown[] = [];
  let text = "";
  for (const event of emitted) {
    if (event.type === "partial" && event.kind === "delta") text += event.payload["text"] as string;
    else if (event.type === "partial") states.push(event.payload);
    textBefore.push(text.length);
    statesBefore.push(states.length);
  }
  textBefore.push(text.length); // After `final`.
  statesBefore.push(states.length);
  return { events, text, textBefore, statesBefore, states };
}

type Way = "recorded stream" | "folded stream" | "folded pages";
const WAYS: readonly Way[] = ["recorded stream", "folded stream", "folded pages"];

async function* read(client: SpoolClient, way: Way, taskId: string, fromSeq: bigint): AsyncGenerator<SpoolEvent> {
  if (way !== "folded pages") {
    const view: EventView = way === "folded stream" ? "folded" : "recorded";
    return yield* client.follow({ taskId, fromSeq, view });
  }
  for (let next = fromSeq; ;) {
    const page = await client.events({ taskId, fromSeq: next, limit: 100, waitMs: 10_000, view: "folded" });
    yield* page.events;
    next = page.nextFromSeq;
    if (page.events.at(-1)?.type === "final") return;
  }
}

interface Reading {
  phase: string;
  way: Way;
  fromSeq: number;
  /** Whether to read to the end of the tape. */
  isWhole: boolean;
}

/** Reads a tape from a seq on, and compares what its series say. */
async function checkRest(
  findings: Findings,
  client: SpoolClient,
  { taskId, name, expected }: Task,
  { phase, way, fromSeq, isWhole }: Reading,
): Promise<void> {
  const reader = new SeriesReader();
  let covered = 0;
  let events = 0;
  for await (const event of read(client, way, taskId, BigInt(fromSeq))) {
    reader.read(event);
    covered += event.type === "folded" ? Number(event.seq - event.firstSeq) + 1 : 1;
    events++;
    if (!isWhole && events === RECORDED_MAX) break;
  }
  findings.count(`readers, ${phase}`);
  findings.count(`events received, ${way}`, events);
  findings.count(`seqs covered, ${way}`, covered);
  const faults: string[] = [];
  const end = fromSeq + covered;
  if (Number(reader.nextFromSeq) !== end) faults.push(`it covers ${covered} seqs and ends with ${reader.nextFromSeq}`);
  if (isWhole && end !== expected.events + 1) faults.push(`it ends before ${end}`);
  const text = reader.text("delta", "answer");
  const rest = expected.text.slice(expected.textBefore[fromSeq], expected.textBefore[end]);
  if (text !== rest) faults.push(`its text has ${text.length} characters instead of ${rest.length}`);
  const state = reader.get("state", "count");
  const states = expected.states.slice(expected.statesBefore[fromSeq], expected.statesBefore[end]);
  if ((state?.count ?? 0) !== states.length) faults.push(`it has ${state?.count} states instead of ${states.length}`);
  if (JSON.stringify(state?.payload) !== JSON.stringify(states.at(-1))) faults.push("its last state is another one");
  if (faults.length > 0) findings.violation(`${name}, ${phase}, ${way} from ${fromSeq}:`, faults);
}

/** Each way of reading from a seq. */
function readingsFrom(phase: string, fromSeq: number, index: number): Reading[] {
  return WAYS.map((way) => ({ phase, way, fromSeq, isWhole: way !== "recorded stream" || index % 10 === 0 }));
}

function randomCuts({ events }: Expected): number[] {
  const cuts = Array.from({ length: CUTS / PHASES }, () => 1 + Math.floor(Math.random() * events));
  return cuts.toSorted((one, other) => one - other);
}

/** A follower of the folded view is cut at each random seq and resumes. Where it is cut, readers of all ways begin. */
async function whileRunning(findings: Findings, clients: readonly SpoolClient[], task: Task): Promise<void> {
  const reader = new SeriesReader();
  const readers: Promise<void>[] = [];
  let fromSeq = 1n;
  let isOver = false;
  for (const [index, cut] of [...randomCuts(task.expected), Infinity].entries()) {
    for await (const event of pick(clients).follow({ taskId: task.taskId, fromSeq, view: "folded" })) {
      reader.read(event);
      fromSeq = event.seq + 1n;
      isOver = event.type === "final";
      if (event.seq >= cut) break;
    }
    if (isOver) break;
    findings.count("cuts while running");
    for (const reading of readingsFrom("while the task runs", Number(fromSeq), index)) {
      readers.push(checkRest(findings, pick(clients), task, reading));
    }
  }
  findings.expect(isOver, `${task.name}: the follower ended without final`);
  findings.expect(
    reader.text("delta", "answer") === task.expected.text,
    `${task.name}: the cut follower's text differs`,
  );
  await Promise.all(readers);
}

async function readAll(
  findings: Findings,
  clients: readonly SpoolClient[],
  tasks: readonly Task[],
  phase: string,
): Promise<void> {
  const jobs = tasks.flatMap((task) =>
    randomCuts(task.expected).flatMap((fromSeq, index) =>
      readingsFrom(phase, fromSeq, index).map((reading) => ({ task, reading })),
    ),
  );
  await inParallel({ total: jobs.length, atOnce: READERS_AT_ONCE }, async (index) => {
    const { task, reading } = jobs[index]!;
    await checkRest(findings, pick(clients), task, reading);
  });
}

/** Packs both tapes as servers do, one statement after another. */
async function pack(url: string): Promise<number> {
  const store = await openDatabase({ url });
  let statements = 0;
  try {
    for (let hasMore = true; hasMore; statements++) {
      ({ hasMore } = await packNextTapes(store.db, { namespace: NAMESPACE, afterMs: 0 }));
    }
  } finally {
    await store.close();
  }
  return statements;
}

/** Records the rows of the tapes, and the size of their tables without dead rows. */
async function recordSize(findings: Findings, url: string, when: string): Promise<{ rows: number; packs: number }> {
  const sql = new pg.Client(url);
  await sql.connect();
  try {
    await sql.query("vacuum full task_events");
    await sql.query("vacuum full packed_events");
    const { rows } = await sql.query<{ rows: number; packs: number; bytes: number }>(`
      select (select count(*)::int from task_events) as rows, (select count(*)::int from packed_events) as packs,
             (pg_total_relation_size('task_events') + pg_total_relation_size('packed_events'))::int as bytes`);
    const { rows: events, packs, bytes } = rows[0]!;
    findings.record(`stored ${when}`, `${events} rows of events, ${packs} packed rows, ${bytes} bytes with indexes`);
    return { rows: events, packs };
  } finally {
    await sql.end();
  }
}

await runScenario(
  "folding",
  async (findings) => {
    console.log(`readers of two tapes begin at ${CUTS} random seqs, in both views, before and after packing`);
    await using database = await createDatabase();
    await using replicas = await startReplicas({
      count: 2,
      databaseUrl: database.url,
      kinds: KINDS,
      environment: { SPOOL_NAMESPACE: NAMESPACE },
    });
    await untilReady(replicas);
    const clients = replicas.map(({ client }) => client);
    const tasks = await Promise.all(
      LOADS.map(async (params): Promise<Task> => {
        const { task } = await clients[0]!.start({ kind: tokens.name, params });
        return { taskId: task.taskId, name: params.mixed ? "mixed" : "deltas", expected: expectedOf(params) };
      }),
    );
    await Promise.all(tasks.map((task) => whileRunning(findings, clients, task)));
    await readAll(findings, clients, tasks, "after the end");
    const before = await recordSize(findings, database.url, "before packing");
    const [statements] = await Promise.all([
      pack(database.url),
      readAll(findings, clients, tasks, "while the tapes are packed"),
    ]);
    findings.record("packing statements", statements);
    const after = await recordSize(findings, database.url, "after packing");
    findings.expect(after.packs > 0 && after.rows < before.rows, "the tapes are not packed");
    await readAll(findings, clients, tasks, "after packing");
  },
  { msMax: SCENARIO_MS_MAX },
);
