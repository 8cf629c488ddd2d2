import { setTimeout } from "node:timers/promises";
import pg from "pg";

const CONNECTIONS = 8;
/** Between two statements of a connection. */
const PAUSE_MS = 4;
/** How often waiting statements are looked for. */
const SAMPLE_MS = 25;
/** A delay of the control statement from this on is a stall of the machine. */
const STALL_MS = 20;

const NEW_TASK = `
with started as (
  insert into tasks (task_id, namespace, kind, status, params, params_digest, labels, max_attempts, request_id, last_seq)
  values ($1, 'default', 'echo', 'pending', '{}', '', '{"load": "true"}', 3, $2, 1)
  returning task_id
),
requested as (insert into task_requests (namespace, request_id, task_id) values ('default', $2, $1))
insert into task_events (task_id, seq, time, type, body)
select task_id, 1, now(), 'started', '{}' from started returning task_id`;

const CLAIM = `
with candidate as (
  select task_id from tasks
  where namespace = 'default' and status = 'pending' and coalesce(run_at, created_at) <= now()
  order by coalesce(run_at, created_at), task_id limit 4 for update skip locked
)
update tasks t set status = 'running', lease = $1, attempt = attempt + 1, appended = 0, started_at = now()
from candidate c where t.task_id = c.task_id returning t.task_id`;

const APPEND = `
with appended as (
  update tasks set last_seq = last_seq + 1, appended = appended + 1
  where task_id = $1 and status = 'running' and lease = $2 returning task_id, last_seq
)
insert into task_events (task_id, seq, time, type, body)
select task_id, last_seq, now(), 'partial', '{"text": "a part of the result"}' from appended returning task_id`;

const END = `
with ended as (
  update tasks set status = 'succeeded', finished_at = now(), lease = null, last_seq = last_seq + 1
  where task_id = $1 and status = 'running' and lease = $2 returning task_id, last_seq
)
insert into task_events (task_id, seq, time, type, body)
select task_id, last_seq, now(), 'final', '{"status": "succeeded"}' from ended returning task_id`;

const RENEW = `
insert into sessions (session_id, namespace, host, pid, expires_at) values ($1, 'default', 'load', 1, now() + interval '10 s')
on conflict (session_id) do update set expires_at = excluded.expires_at`;

const LIST =
  "select task_id, kind, status, labels from tasks where namespace = 'default' order by task_id desc limit 50";
const PAGE = "select seq, time, type, body from task_events where task_id = $1 and seq > 0 order by seq limit 1000";

/** The longest call of a load. */
export interface LongestCall {
  name: string;
  /** Without stalls of the machine. */
  ms: number;
  /** With them. */
  measuredMs: number;
  /** What the migration did meanwhile, as its latest line says. */
  during: string;
}

/**
 * The statements of servers that know only the first step of the schema: starts, claims, events, ends, renewals of
 * sessions, and page reads, on 8 connections. Measures how long each of them takes, until it is stopped.
 */
export class OldLoad {
  calls = 0;
  longest: LongestCall = { name: "", ms: 0, measuredMs: 0, during: "" };
  /** The longest time that a statement of the load has waited for a lock, as Postgres reports it. */
  longestLockWaitMs = 0;
  /** The tasks and events that are stored. */
  readonly stored = { tasks: 0, events: 0 };
  readonly errors: unknown[] = [];
  /** The latest line of the migration. */
  during = "";
  readonly #url: string;
  readonly #stopped = new AbortController();
  readonly #running: Promise<unknown>;
  readonly #stalls: { from: number; to: number }[] = [];

  constructor(url: string) {
    this.#url = url;
    const workers = Array.from({ length: CONNECTIONS }, () => this.#connected("load", (client) => this.#work(client)));
    const measures = [
      this.#connected("control", (client) => this.#measureStalls(client)),
      this.#connected("sampler", (client) => this.#sampleLocks(client)),
    ];
    this.#running = Promise.all([...workers, ...measures]);
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#running;
  }

  async #connected(name: string, work: (client: pg.Client) => Promise<void>): Promise<void> {
    const client = new pg.Client({ connectionString: this.#url, application_name: name });
    try {
      await client.connect();
      await work(client);
    } catch (error) {
      this.errors.push(error);
    } finally {
      await client.end();
    }
  }

  async #work(client: pg.Client): Promise<void> {
    const session = crypto.randomUUID();
    const owned: string[] = [];
    for (let turn = 0; !this.#stopped.signal.aborted; turn++) {
      const taskId = crypto.randomUUID();
      await this.#call("start", client, NEW_TASK, [taskId, taskId]);
      this.stored.tasks++;
      this.stored.events++;
      if (turn % 10 === 0) await this.#call("renew", client, RENEW, [session]);
      const { rows } = await this.#call("claim", client, CLAIM, [session]);
      owned.push(...rows.map((row) => (row as { task_id: string }).task_id));
      const task = owned.shift();
      if (task !== undefined) {
        for (const statement of [APPEND, APPEND, END]) {
          const { rowCount } = await this.#call(statement === END ? "end" : "append", client, statement, [
            task,
            session,
          ]);
          this.stored.events += rowCount ?? 0;
        }
        await this.#call("page", client, PAGE, [task]);
      }
      await this.#call("list", client, LIST, []);
    }
  }

  async #call(name: string, client: pg.Client, text: string, values: unknown[]): Promise<pg.QueryResult> {
    const from = performance.now();
    const result = await client.query(text, values);
    const to = performance.now();
    this.calls++;
    const measuredMs = to - from;
    // Stalls only make a call shorter.
    if (measuredMs > this.longest.ms) {
      const ms = measuredMs - this.#stalledMs(from, to);
      if (ms > this.longest.ms) this.longest = { name, ms, measuredMs, during: this.during };
    }
    await setTimeout(PAUSE_MS);
    return result;
  }

  #stalledMs(from: number, to: number): number {
    const overlaps = this.#stalls.map((stall) => Math.max(0, Math.min(stall.to, to) - Math.max(stall.from, from)));
    return overlaps.reduce((sum, each) => sum + each, 0);
  }

  /** A statement that needs no lock is as slow as the machine. */
  async #measureStalls(client: pg.Client): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      const from = performance.now();
      await client.query("select 1");
      const to = performance.now();
      if (to - from > STALL_MS) this.#stalls.push({ from, to });
      await setTimeout(PAUSE_MS);
    }
  }

  async #sampleLocks(client: pg.Client): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      const { rows } = await client.query<{ ms: number | null }>(`
        select max(extract(epoch from clock_timestamp() - l.waitstart) * 1000)::float8 as ms
        from pg_locks l join pg_stat_activity a using (pid)
        where not l.granted and a.application_name = 'load' and a.datname = current_database()`);
      this.longestLockWaitMs = Math.max(this.longestLockWaitMs, rows[0]!.ms ?? 0);
      await setTimeout(SAMPLE_MS);
    }
  }
}
