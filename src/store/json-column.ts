import type { ColumnType } from "kysely";

/** A column of type `json`. Unlike jsonb, it stores the text exactly, accepts \u0000, and costs less to write. */
export type Json<Value> = ColumnType<Value, string, string>;
