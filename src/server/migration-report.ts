import type { Logger } from "pino";
import type { MigrationEvent } from "../store/stages/migration-watch.ts";
import { describeSessions } from "../store/stages/sessions.ts";
import type { OtherSession } from "../store/stages/sessions.ts";

/** How often the batches of a stage are reported. */
const BATCHES_EVERY_MS = 5_000;

/** What a migration does now, for the user of `spool migrate`. */
export interface MigrationNotice {
  /** For people. */
  line: string;
  /** For programs. */
  fields: Readonly<Record<string, unknown>>;
}

/** Returns a listener that logs what a migration does. */
export function migrationLog(log: Logger): (event: MigrationEvent) => void {
  return withFewerBatches((event) => {
    switch (event.type) {
      case "stage":
        return log.info(fieldsOf(event), "database: migration stage started");
      case "batch":
        return log.info(fieldsOf(event), "database: migration batch done");
      case "applied":
        return log.info(fieldsOf(event), "database: migration step applied");
      case "locked":
        return log.warn(fieldsOf(event), "database: migration waiting for another migration");
      case "blocked":
        return log.warn(fieldsOf(event), "database: migration waiting for locks of other sessions");
    }
  });
}

/** Returns a listener that passes on what a migration does, as notices. */
export function migrationNotices(onNotice: (notice: MigrationNotice) => void): (event: MigrationEvent) => void {
  return withFewerBatches((event) =>
    onNotice({ line: lineOf(event), fields: { event: event.type, ...fieldsOf(event) } }),
  );
}

function lineOf(event: MigrationEvent): string {
  switch (event.type) {
    case "stage":
      return `${event.step}: ${event.stage}`;
    case "batch":
      return `${event.step}: ${event.stage}: ${event.rows} rows so far`;
    case "applied":
      return `${event.step}: applied`;
    case "locked":
      return `waiting for another migration for ${seconds(event.waitedMs)}: ${describeSessions(event.sessions)}`;
    case "blocked":
      return `${event.step}: ${event.stage}: waiting for locks for ${seconds(event.waitedMs)}: ${describeSessions(event.sessions)}`;
  }
}

function fieldsOf(event: MigrationEvent): Record<string, unknown> {
  const at = "stage" in event ? { step: event.step, stage: event.stage } : {};
  switch (event.type) {
    case "stage":
      return at;
    case "batch":
      return { ...at, rows: event.rows };
    case "applied":
      return { step: event.step };
    case "locked":
    case "blocked":
      return { ...at, waited_ms: Math.round(event.waitedMs), sessions: event.sessions.map(sessionFields) };
  }
}

function sessionFields({ pid, application, state, statementMs }: OtherSession): Record<string, unknown> {
  return { pid, application, state, statement_ms: statementMs === null ? null : Math.round(statementMs) };
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

/** Leaves out batches that follow another report of a batch within 5 s. */
function withFewerBatches(listener: (event: MigrationEvent) => void): (event: MigrationEvent) => void {
  let reportedMs = -Infinity;
  return (event) => {
    if (event.type === "batch") {
      if (performance.now() - reportedMs < BATCHES_EVERY_MS) return;
      reportedMs = performance.now();
    }
    listener(event);
  };
}
