import { randomUUID } from "node:crypto";
import pg from "pg";

// The table of events by itself, as Spool has it, and statements that do nothing but write and read it: what Postgres
// and its driver take for the same rows.

const TYPE = "progress";

/** As of `bench-burst`. */
const BODY = JSON.stringify({ phase: "burst", current: 12_345, total: 20_000 });

const INSERT = {
  name: "bare_insert",
  text: "insert into bare_events (task_id, seq, time, type, body) values ($1, $2, now(), $3, $4)",
};

const INSERT_BATCH = {
  name: "bare_insert_batch",
  text: `insert into bare_events (task_id, seq, time, type, body)
    select e.task_id, e.seq, now(), e.type, e.body::json
    from unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[]) as e (task_id, seq, type, body)`,
};

const READ = {
  name: "bare_read",
  text: "select seq, time, type, body::text from bare_events where task_id = $1 and seq >= $2 order by seq limit $3",
};

export async function openBareTable(url: string, connections: number): Promise<pg.Pool> {
  const pool = new pg.Pool({ connectionString: url, max: connections });
  // Several measures open it: one of them makes it.
  await pool.query(`create table if not exists bare_events (
    task_id uuid not null, seq bigint not null, time timestamptz not null, type text not null, body json not null,
    primary key (task_id, seq)
  )`);
  return pool;
}

/** Writes one task's events, one at a call. */
export function rowWriter(pool: pg.Pool): () => Promise<unknown> {
  const taskId = randomUUID();
  let seq = 0;
  return () => pool.query({ ...INSERT, values: [taskId, ++seq, TYPE, BODY] });
}

/** Writes so many events at a call, in turn of so many tasks. */
export function batchWriter(pool: pg.Pool, { rows, tasks }: { rows: number; tasks: number }): () => Promise<unknown> {
  const taskIds = Array.from({ length: tasks }, () => randomUUID());
  let written = 0;
  return () => {
    const numbers = Array.from({ length: rows }, (_, index) => written + index);
    written += rows;
    return pool.query({
      ...INSERT_BATCH,
      values: [
        numbers.map((number) => taskIds[number % tasks]),
        numbers.map((number) => Math.floor(number / tasks) + 1),
        numbers.map(() => TYPE),
        numbers.map(() => BODY),
      ],
    });
  };
}

/** Makes a tape of so many events. @returns a function that reads a page of it from a seq on, and counts its rows */
export async function pageReader(pool: pg.Pool, { rows, limit }: { rows: number; limit: number }) {
  const taskId = randomUUID();
  await pool.query(
    `insert into bare_events select $1, seq, now(), $2, $3::json from generate_series(1, $4::bigint) as seq`,
    [taskId, TYPE, BODY, rows],
  );
  return async (fromSeq: number): Promise<number> =>
    (await pool.query({ ...READ, values: [taskId, fromSeq, limit] })).rows.length;
}
