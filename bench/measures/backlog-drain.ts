import { setTimeout } from "node:timers/promises";
import { forkProgram } from "../children.ts";
import { query } from "../databases.ts";
import { burst } from "../kinds.ts";
import { single } from "../measure.ts";
import type { Measure } from "../measure.ts";
import { installPeers } from "../peers/installed.ts";
import type { PeerRate } from "../peers/program.ts";
import { addWaitingTasks, settleTasks } from "../waiting-tasks.ts";

const TASKS = 100_000;
const ROUNDS_MAX = 3;
const POLL_MS = 200;

/** Each task is claimed, started, run and ended durably, with its two events; nobody follows. */
export const backlogDrain = single({
  name: "backlog-drain",
  unit: "tasks/s",
  about: "100,000 pending empty tasks, run by one server with its defaults, from the first start to the last end",
  only: "heavy",
  roundsMax: ROUNDS_MAX,
  comparisons: [{ with: "graphile-worker-drain", bar: { atLeast: 1 } }, { with: "pg-boss-drain" }],
  async prepare({ startSpool }, size) {
    return {
      async run() {
        await using spool = await startSpool();
        const tasks = size(TASKS);
        const params = JSON.stringify({ events: 0 });
        // Of a kind that nobody has until all are there.
        await addWaitingTasks(spool.databaseUrl, { first: 1, last: tasks }, { kind: "none", params });
        await settleTasks(spool.databaseUrl);
        await query(
          spool.databaseUrl,
          `update tasks set kind = '${burst.name}' where kind = 'none'`,
          "vacuum (analyze) tasks",
        );
        return await drained(spool.databaseUrl); // The server goes when this returns.
      },
      close() {},
    };
  },
});

async function drained(databaseUrl: string): Promise<number> {
  for (;;) {
    const [row] = await query<{ unended: number; perSecond: number }>(
      databaseUrl,
      `select (select count(*)::int from tasks where status in ('pending', 'running')) as unended`,
    );
    if (row!.unended === 0) break;
    await setTimeout(POLL_MS);
  }
  const [row] = await query<{ per_second: number }>(
    databaseUrl,
    `select (count(*) / extract(epoch from max(finished_at) - min(started_at)))::float8 as per_second
     from tasks where params_digest = 'waiting'`,
  );
  return row!.per_second;
}

export const graphileWorkerDrain = peerDrain({
  name: "graphile-worker-drain",
  about: "graphile-worker: 100,000 jobs that wait, by a local queue and batched completion, 24 at once",
  program: import.meta.resolve("../peers/graphile-worker-drain.ts"),
});

export const pgBossDrain = peerDrain({
  name: "pg-boss-drain",
  about: "pg-boss: 100,000 jobs that wait, fetched and completed in batches of 100, 4 batches at once",
  program: import.meta.resolve("../peers/pg-boss-drain.ts"),
});

function peerDrain({ name, about, program }: { name: string; about: string; program: string }): Measure {
  return single({
    name,
    unit: "tasks/s",
    about,
    only: "peer",
    roundsMax: ROUNDS_MAX,
    async prepare({ createDatabase }, size) {
      installPeers();
      return {
        async run() {
          await using database = await createDatabase();
          await using child = forkProgram(program, [database.url, `${size(TASKS)}`]);
          return (await child.next<PeerRate>()).perSecond;
        },
        close() {},
      };
    },
  });
}
