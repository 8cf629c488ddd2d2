import { forkProgram } from "../children.ts";
import { single } from "../measure.ts";
import type { Measure } from "../measure.ts";
import { installPeers } from "../peers/installed.ts";
import type { PeerRate } from "../peers/program.ts";

export const dbos = peer({
  name: "dbos",
  about:
    "DBOS, a library in its caller's process: a workflow writes 10 stream values, which are read to the end, 64 at once",
  program: import.meta.resolve("../peers/dbos.ts"),
});

export const graphileWorker = peer({
  name: "graphile-worker",
  about: "graphile-worker: add an empty job, 64 calls at once, and have it done, 24 at once; no events, no follower",
  program: import.meta.resolve("../peers/graphile-worker.ts"),
});

export const pgBoss = peer({
  name: "pg-boss",
  about: "pg-boss: add an empty job, 64 calls at once, and have it done, 100 at once; no events, no follower",
  program: import.meta.resolve("../peers/pg-boss.ts"),
});

/** A process of its own each time, on a database of its own: nothing of a peer goes on while others are measured. */
function peer({ name, about, program }: { name: string; about: string; program: string }): Measure {
  return single({
    name,
    unit: "tasks/s",
    about,
    only: "peer",
    async prepare({ createDatabase }) {
      installPeers();
      return {
        async run() {
          await using database = await createDatabase();
          await using child = forkProgram(program, [database.url]);
          return (await child.next<PeerRate>()).perSecond;
        },
        close() {},
      };
    },
  });
}
