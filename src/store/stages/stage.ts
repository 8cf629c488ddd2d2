/** One short transaction. It takes milliseconds, however large its table is. */
export interface TransactionStage {
  type: "transaction";
  /** The existing table that the statements lock exclusively; null: they only create tables. */
  table: string | null;
  /** Must be idempotent, unless the stage is the last one of its step: that one commits together with the step. */
  statements: readonly string[];
}

/** Builds an index beside writers. */
export interface IndexStage {
  type: "index";
  table: string;
  index: string;
  /** The part of `create index` from the columns on. */
  definition: string;
  isUnique?: boolean;
}

/** Drops an index beside writers. */
export interface DropIndexStage {
  type: "drop index";
  table: string;
  index: string;
}

/** Checks all rows against a constraint that an earlier stage has added as `not valid`. */
export interface ValidateStage {
  type: "validate";
  table: string;
  constraint: string;
}

/** Vacuums and analyzes a table. */
export interface VacuumStage {
  type: "vacuum";
  table: string;
}

/** Changes rows in batches. */
export interface BackfillStage {
  type: "backfill";
  table: string;
  /**
   * Changes a bounded number of rows, and none if all are changed. It is repeated until it changes no row, so it must find
   * the remaining rows by an index.
   */
  statement: string;
}

/** A part of a step. A step whose migrator was killed is resumed by running all its stages again. */
export type Stage = TransactionStage | IndexStage | DropIndexStage | ValidateStage | VacuumStage | BackfillStage;

/**
 * How a stage locks its table:
 *
 * - `none`: writers and readers never wait.
 * - `brief`: the table is locked exclusively for milliseconds, after a bounded wait.
 * - `batches`: rows are locked, a batch at a time.
 */
export type StageLock = "none" | "brief" | "batches";

/** Returns how a stage locks its table on a server with other sessions. */
export function lockOf(stage: Stage): StageLock {
  if (stage.type === "backfill") return "batches";
  return stage.type === "transaction" && stage.table !== null ? "brief" : "none";
}

/** Returns what a stage does, as a phrase for people. */
export function describeStage(stage: Stage): string {
  switch (stage.type) {
    case "transaction":
      return stage.table === null ? "create tables" : `change table ${stage.table}`;
    case "index":
      return `build index ${stage.index}`;
    case "drop index":
      return `drop index ${stage.index}`;
    case "validate":
      return `validate constraint ${stage.constraint}`;
    case "vacuum":
      return `vacuum table ${stage.table}`;
    case "backfill":
      return `update rows of ${stage.table}`;
  }
}
