import { troubleFault } from "./trouble.ts";

/** The volume of the tables of a Postgres server is full. */
export const fullDisk = troubleFault({
  name: "full-disk",
  trouble: "full disk",
  holdMs: [500, 4_000],
  isPossible: ({ scene }) => scene.volume !== null,
});
