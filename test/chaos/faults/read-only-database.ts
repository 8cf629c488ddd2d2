import { troubleFault } from "./trouble.ts";

/** A database takes no writes. */
export const readOnlyDatabase = troubleFault({
  name: "read-only-database",
  trouble: "read-only window",
  holdMs: [300, 3_000],
});
