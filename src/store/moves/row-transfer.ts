import { pipeline } from "node:stream/promises";
import { from as copyFrom, to as copyTo } from "pg-copy-streams";
import { Dialer } from "../connection/dialer.ts";
import type { NamedClient } from "../connection/named-client.ts";

/** The tables with a row for each task or event. */
const TASK_TABLES = ["task_requests", "task_events", "packed_events", "tasks"] as const;
/** Tables with a few rows of each namespace. */
const SMALL_TABLES = ["task_exclusives", "removed_tasks", "removal_hooks"] as const;
type MovedTable = (typeof TASK_TABLES)[number] | (typeof SMALL_TABLES)[number] | "sessions";

/**
 * Values that a row has on the new shard. The numbers of transactions are those of another database: 0 is before every
 * cursor. A session of a worker gets the time to reconnect.
 */
const REPLACED: Readonly<Partial<Record<MovedTable, Readonly<Record<string, string>>>>> = {
  tasks: { ended_xid: "case when ended_xid is not null then 0::bigint end" },
  packed_events: { xids: "array_fill(0::bigint, array[cardinality(xids)])" },
  sessions: { expires_at: "greatest(expires_at, now()) + interval '10 s'" },
};

/** How many ids one list reads. */
const LIST_TASKS = 20_000;
/** About how many events and tasks one transaction copies. */
const BATCH_EVENTS = 50_000;
const BATCH_TASKS = 500;
const IDLE_MS_MAX = 60_000;

/** A task of a namespace, as far as a comparison of two shards needs it. */
interface Listed {
  taskId: string;
  lastSeq: number;
  /** Differs if the row or the tape differs. */
  state: string;
}

/** What one pass of a transfer has done. */
export interface Transferred {
  tasks: number;
  events: number;
  deleted: number;
}

/** Two shards, one connection to each, and a namespace whose rows are brought from one to the other. */
export class RowTransfer implements AsyncDisposable {
  readonly #source: NamedClient;
  readonly #target: NamedClient;
  readonly #namespace: string;
  readonly #columns: ReadonlyMap<MovedTable, readonly string[]>;

  private constructor(parts: {
    source: NamedClient;
    target: NamedClient;
    namespace: string;
    columns: ReadonlyMap<MovedTable, readonly string[]>;
  }) {
    this.#source = parts.source;
    this.#target = parts.target;
    this.#namespace = parts.namespace;
    this.#columns = parts.columns;
  }

  /** @throws errors of the driver; Error if a table has other columns on the other shard */
  static async open(parts: { sourceUrl: string; targetUrl: string; namespace: string }): Promise<RowTransfer> {
    const dial = async (url: string) => (await new Dialer(url, { applicationName: "spool move" }).dial()).client;
    const source = await dial(parts.sourceUrl);
    const target = await dial(parts.targetUrl);
    try {
      for (const client of [source, target]) {
        await client.query(`set idle_in_transaction_session_timeout = ${IDLE_MS_MAX}`);
      }
      const columns = new Map<MovedTable, readonly string[]>();
      for (const table of [...TASK_TABLES, ...SMALL_TABLES, "sessions"] as const) {
        const [here, there] = [await columnsOf(source, table), await columnsOf(target, table)];
        if (here.join() !== there.join()) throw new Error(`the table ${table} differs: migrate both shards first`);
        columns.set(table, here);
      }
      return new RowTransfer({ source, target, namespace: parts.namespace, columns });
    } catch (error) {
      await Promise.all([source.end(), target.end()]);
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#source.end(), this.#target.end()]);
  }

  /**
   * Makes the tasks on the target equal to those on the source: copies what is missing or differs, and deletes what the
   * source does not have.
   *
   * @param only `ended`: only ended tasks, which change no more, except that they are removed
   */
  async copyTasks(only: "ended" | "all", onProgress: (done: Readonly<Transferred>) => void): Promise<Transferred> {
    const done: Transferred = { tasks: 0, events: 0, deleted: 0 };
    for await (const { missing, surplus } of this.#compare(only)) {
      await this.#deleteOn(this.#target, surplus);
      done.deleted += surplus.length;
      for (const batch of batchesOf(missing)) {
        await this.#copyBatch(batch.map(({ taskId }) => taskId));
        done.tasks += batch.length;
        done.events += batch.reduce((sum, { lastSeq }) => sum + lastSeq, 0);
        onProgress(done);
      }
    }
    return done;
  }

  /** Copies keys, markers and pending hooks, and the sessions of workers, in one transaction. */
  async copyOthers(): Promise<void> {
    await this.#inTransactions(async () => {
      const ofNamespace = `namespace = ${literal(this.#namespace)}`;
      for (const table of SMALL_TABLES) {
        await this.#target.query(`delete from ${table} where ${ofNamespace}`);
        await this.#copyRows(table, ofNamespace);
      }
      await this.#target.query(`delete from sessions where ${ofNamespace}`);
      await this.#copyRows("sessions", `${ofNamespace} and token_digest is not null and expires_at > now()`);
      // Sweeps begin anew: the tasks ended before the places that they have reached.
      await this.#target.query(`delete from sweep_cursors where ${ofNamespace}`);
    });
  }

  /** Whether the tasks of both shards are equal, as far as their rows and the lengths of their tapes say. */
  async isEqual(): Promise<boolean> {
    for await (const { missing, surplus } of this.#compare("all")) {
      if (missing.length + surplus.length > 0) return false;
    }
    return true;
  }

  /** Deletes all rows of the namespace on one of the shards. */
  async deleteAll(on: "source" | "target"): Promise<void> {
    const client = on === "source" ? this.#source : this.#target;
    for (;;) {
      const page = await listTasks(client, this.#namespace, { after: null, only: "all" });
      if (page.length === 0) break;
      for (const batch of batchesOf(page)) await this.#deleteOn(client, batch.map(({ taskId }) => taskId)); // prettier-ignore
    }
    for (const table of [...SMALL_TABLES, "sessions", "sweep_cursors", "task_requests"]) {
      await client.query(`delete from ${table} where namespace = $1`, [this.#namespace]);
    }
  }

  /** Yields what differs, a range of ids at a time. */
  async *#compare(only: "ended" | "all"): AsyncGenerator<{ missing: Listed[]; surplus: string[] }> {
    for (let after: string | null = null; ;) {
      const [here, there]: [Listed[], Listed[]] = await Promise.all([
        listTasks(this.#source, this.#namespace, { after, only }),
        listTasks(this.#target, this.#namespace, { after, only: "all" }),
      ]);
      const isLast: boolean = here.length < LIST_TASKS && there.length < LIST_TASKS;
      // Both lists are complete up to the end of the one that was cut off first.
      const ends = [here, there].filter((list) => list.length === LIST_TASKS).map((list) => list.at(-1)!.taskId);
      const end: string | null = isLast ? null : ends.reduce((least, id) => (id < least ? id : least));
      const within = ({ taskId }: Listed) => end === null || taskId <= end;
      const wanted = new Map(here.filter(within).map((task) => [task.taskId, task]));
      const present = new Map(there.filter(within).map((task) => [task.taskId, task]));
      const differs = ({ taskId, state }: Listed) => present.get(taskId)?.state !== state;
      const missing = [...wanted.values()].filter(differs);
      const surplus = [...present.values()].filter(({ taskId, state }) => wanted.get(taskId)?.state !== state);
      yield { missing, surplus: surplus.map(({ taskId }) => taskId) };
      if (end === null) return;
      after = end;
    }
  }

  #copyBatch(taskIds: readonly string[]): Promise<void> {
    return this.#inTransactions(async () => {
      const ids = `${literal(`{${taskIds.join()}}`)}::uuid[]`;
      for (const table of TASK_TABLES) await this.#copyRows(table, ofTasks(table, ids));
    });
  }

  /** Reads one snapshot of the source, and commits on the target. */
  async #inTransactions(work: () => Promise<void>): Promise<void> {
    await this.#source.query("begin isolation level repeatable read read only");
    await this.#target.query("begin");
    try {
      await work();
      await this.#target.query("commit");
    } catch (error) {
      await rollback(this.#target);
      throw error;
    } finally {
      await rollback(this.#source);
    }
  }

  /** Copies in the binary format, so that every value arrives as it is. */
  async #copyRows(table: MovedTable, condition: string): Promise<void> {
    const columns = this.#columns.get(table)!;
    const values = columns.map((column) => REPLACED[table]?.[column] ?? `"${column}"`);
    const names = columns.map((column) => `"${column}"`).join();
    const read = copyTo(`copy (select ${values.join()} from ${table} where ${condition}) to stdout (format binary)`);
    const write = copyFrom(`copy ${table} (${names}) from stdin (format binary)`);
    await pipeline(this.#source.query(read) as typeof read, this.#target.query(write) as typeof write);
  }

  async #deleteOn(client: NamedClient, taskIds: readonly string[]): Promise<void> {
    if (taskIds.length === 0) return;
    await client.query("begin");
    for (const table of TASK_TABLES) {
      await client.query(`delete from ${table} where ${ofTasks(table, "$1::uuid[]")}`, [taskIds]);
    }
    await client.query("commit");
  }
}

/** Returns the condition for the rows of some tasks. The key of a request is not the id of its task. */
function ofTasks(table: (typeof TASK_TABLES)[number], ids: string): string {
  const among = `task_id = any(${ids})`;
  if (table !== "task_requests") return among;
  return `${among} and (namespace, request_id) in (select namespace, request_id from tasks where ${among})`;
}

/** A connection that fails has no transaction any more. */
async function rollback(client: NamedClient): Promise<void> {
  await (client.query("rollback") as Promise<unknown>).catch(() => {});
}

async function listTasks(
  client: NamedClient,
  namespace: string,
  { after, only }: { after: string | null; only: "ended" | "all" },
): Promise<Listed[]> {
  const { rows } = (await client.query(
    `select task_id as "taskId", last_seq::float8 as "lastSeq",
       concat_ws(' ', status, last_seq, attempt, appended, lease, cancel_requested_at, run_at) as state
     from tasks
     where namespace = $1 and ($2::uuid is null or task_id > $2::uuid) and ($3 or finished_at is not null)
     order by namespace, task_id limit ${LIST_TASKS}`,
    [namespace, after, only === "all"],
  )) as { rows: Listed[] };
  return rows;
}

function* batchesOf(tasks: readonly Listed[]): Generator<Listed[]> {
  let batch: Listed[] = [];
  let events = 0;
  for (const task of tasks) {
    batch.push(task);
    events += task.lastSeq;
    if (batch.length < BATCH_TASKS && events < BATCH_EVENTS) continue;
    yield batch;
    batch = [];
    events = 0;
  }
  if (batch.length > 0) yield batch;
}

/** Returns the columns of a table that values can be inserted into, in alphabetical order. */
async function columnsOf(client: NamedClient, table: string): Promise<string[]> {
  const { rows } = (await client.query(
    `select attname from pg_attribute
     where attrelid = to_regclass($1) and attnum > 0 and not attisdropped and attgenerated = '' order by attname`,
    [table],
  )) as { rows: { attname: string }[] };
  return rows.map(({ attname }) => attname);
}

/** Returns a literal of a text without quotes and backslashes. */
function literal(text: string): string {
  if (/['\\]/.test(text)) throw new Error("quotes and backslashes are not allowed here");
  return `'${text}'`;
}
