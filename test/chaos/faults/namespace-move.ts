import { setTimeout } from "node:timers/promises";
import { cleanMove, moveNamespace } from "../../../src/server/placement/move-namespace.ts";
import { readNamespaces } from "../../../src/store/access/namespaces.ts";
import { readMove } from "../../../src/store/moves/move-records.ts";
import { chance, choose } from "../workload/choices.ts";
import { faultOfService } from "./fault.ts";

const RETRY_MS = 500;
const TRIES_MAX = 200;
const WAIT_MS = 10_000;
const KILLED_SHARE = 0.3;

/** A namespace is moved to another shard. Some moves are killed in their middle, and continued. */
export const namespaceMove = faultOfService({
  name: "namespace-move",
  lane: "namespaces",
  async inject({ home, homeUrl, shards }, { target, random }) {
    const { name } = choose(random, target.namespaces);
    const flags = { databaseUrl: homeUrl };
    const from = await untilDone(async () => {
      const move = await readMove(home.db, name);
      if (move?.phase === "moved") await cleanMove(flags, name, { onNotice() {} });
      return (await readNamespaces(home.db)).find((row) => row.name === name)!.shard;
    });
    const to = choose(
      random,
      shards.filter((shard) => shard !== from),
    );
    let isKilled = !chance(random, KILLED_SHARE);
    await untilDone(async () => {
      const move = await readMove(home.db, name);
      if (move?.phase === "moved") return; // The answer of the try before was lost.
      await moveNamespace(flags, { name, to }, {
        waitMs: WAIT_MS,
        onNotice({ step }) {
          if (isKilled || step !== "closing") return;
          isKilled = true;
          throw new Error("killed");
        },
      }); // prettier-ignore
    });
    return { target: name, from, to };
  },
});

/** Repeats what an operator would, while servers or databases are down. It must succeed, also at the end of the run. */
async function untilDone<Result>(work: () => Promise<Result>): Promise<Result> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (tries === TRIES_MAX) throw error;
      await setTimeout(RETRY_MS);
    }
  }
}
