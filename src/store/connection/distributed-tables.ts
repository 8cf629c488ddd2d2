import { SERVICE_TABLES } from "../schema.ts";

// Citus distributes tables by rows or by schemas, and then plans every statement itself, on every node: it refuses claims
// and flushes, and snapshots are those of the node that was asked.

/** Tables of Spool: which of them Citus distributes, on a database that has Citus. */
export const DISTRIBUTED_TABLES = `select c.relname as "table", p.partmethod = 'n' as "isWhole"
from pg_dist_partition p join pg_class c on c.oid = p.logicalrelid
where c.oid in (${SERVICE_TABLES.map((table) => `to_regclass('${table}')`).join(", ")})
order by c.relname`;

/** A row of DISTRIBUTED_TABLES. */
export interface DistributedTable {
  table: string;
  /** Whether all its rows are on one node, as with schema-based sharding. */
  isWhole: boolean;
}

/** Returns why Spool cannot use its tables; null if it can. */
export function distributionProblem([first]: readonly DistributedTable[]): string | null {
  if (first === undefined) return null;
  const how = first.isWhole ? "with its schema" : "by rows";
  return (
    `Citus distributes the table ${first.table} ${how}, and refuses statements of Spool: ` +
    "undistribute the tables, and use the schema on one node as it is"
  );
}
