import pg from "pg";
import type { TestDatabase } from "./postgres.ts";

/** Changes a database as its operator would, past the service. */
export async function administer({ url }: TestDatabase, ...statements: string[]): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  // Else it could not set back what it has set.
  for (const statement of ["set default_transaction_read_only = off", ...statements]) await client.query(statement);
  await client.end();
}
