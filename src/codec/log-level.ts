import { LOG_LEVELS } from "../domain/event.ts";
import type { LogLevel } from "../domain/event.ts";
import { LogLevel as LogLevelValue } from "../gen/spool/v1/event_pb.ts";

const LEVELS: ReadonlyMap<LogLevelValue, LogLevel> = new Map(LOG_LEVELS.map((level) => [LogLevelValue[level], level]));

export function toLogLevelValue(level: LogLevel): LogLevelValue {
  return LogLevelValue[level];
}

/** @returns undefined for UNSPECIFIED and for a level of a later version */
export function fromLogLevelValue(value: LogLevelValue): LogLevel | undefined {
  return LEVELS.get(value);
}
