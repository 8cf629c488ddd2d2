import type { ColumnType } from "kysely";

/** `json`, not jsonb: it keeps the text exactly (jsonb refuses \u0000), costs less to write and is open to SQL. */
export type Json<Value> = ColumnType<Value, string, string>;
