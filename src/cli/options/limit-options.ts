import type { Command } from "commander";
import { InvalidArgumentError } from "commander";
import { TENANT_LIMITS } from "../../domain/limits.ts";
import type { Limits } from "../../domain/tenant-limits.ts";

/** The option of each limit, and what it limits. */
export const LIMIT_OPTIONS: { readonly [Name in keyof Limits]-?: readonly [flag: string, description: string] } = {
  startsPerSecond: ["--starts-per-second <n>", "Starts per second, at each server"],
  streams: ["--streams <n>", "Open streams, at each server"],
  pendingTasks: ["--pending-tasks <n>", "Tasks that wait"],
  runningTasks: ["--running-tasks <n>", "Tasks that run. More tasks wait."],
  paramsBytes: ["--params-bytes <bytes>", "Bytes of the params of a task, as JSON"],
  eventsPerTask: ["--events-per-task <n>", "Events of a task"],
  bytesPerTask: ["--bytes-per-task <bytes>", "Bytes of the events of a task, as JSON"],
  storedBytes: ["--stored-bytes <bytes>", "Estimated bytes of the namespace in the database"],
};

/** Adds the options of some limits to a command. */
export function addLimits(command: Command, names: readonly (keyof Limits)[]): void {
  for (const name of names) {
    const [flag, description] = LIMIT_OPTIONS[name];
    const [min, max] = TENANT_LIMITS[name];
    command.option(flag, `${description} (default: no limit)`, (text: string) => parseLimit(text, min, max));
  }
}

function parseLimit(text: string, min: number, max: number): number {
  const limit = text.trim() === "" ? NaN : Number(text);
  const isInRange = limit >= min && limit <= max && (min < 1 || Number.isInteger(limit));
  if (!isInRange) {
    throw new InvalidArgumentError(`It must be ${min.toLocaleString("en-US")} to ${max.toLocaleString("en-US")}.`);
  }
  return limit;
}
