import { troubleFault } from "./trouble.ts";

/** All connections of the servers to a Postgres server are terminated, again and again. */
export const terminatedBackends = troubleFault({
  name: "terminated-backends",
  trouble: "pg_terminate_backend storm",
  holdMs: [100, 2_500],
});
