import { logBody, partialBody } from "../../src/domain/emission.ts";
import type { EventBodies, EventType } from "../../src/domain/event.ts";
import type { JsonObject } from "../../src/domain/json.ts";
import type { Kind, TaskContext } from "../../src/domain/kind.ts";

/** What a kind emitted: the type of an event with its body. */
export type Recorded = { [Type in EventType]: { type: Type } & EventBodies[Type] }[EventType];

export interface RecordedRun {
  events: Recorded[];
  /** The payloads of the partials of a kind. */
  partials(kind: string): JsonObject[];
  /** The progress of a phase. */
  progress(phase: string): { current: number; total: number; detail?: JsonObject }[];
}

/**
 * Runs a kind as an executor would, with its params checked, and records what it emits. Nothing is validated: that is
 * the engine's, and tested there.
 *
 * @param onEvent is called with each event before the kind goes on; a rejection is what the emit rejects with
 */
export async function runRecorded(
  kind: Kind,
  params: JsonObject,
  { signal = new AbortController().signal, checkpoint = null, onEvent = () => {} }: RunOptions = {},
): Promise<RecordedRun & { result: JsonObject }> {
  const run = recording();
  const record = async (event: Recorded) => {
    run.events.push(event);
    await onEvent(event);
  };
  const context: TaskContext<unknown> = {
    taskId: "019a0000-0000-7000-8000-000000000000",
    params: kind.parseParams(params),
    attempt: 1,
    signal,
    traceparent: null,
    progress: (phase, current = 0, total = 0, detail) =>
      record({ type: "progress", phase, current, total, ...(detail === undefined ? {} : { detail }) }),
    log: (level, message) => record({ type: "log", ...logBody(level, message) }),
    partial: (partialKind, payload, { series } = {}) =>
      record({ type: "partial", ...partialBody(partialKind, payload, series) }),
    lastCheckpoint: async () => checkpoint,
    flush: async () => {},
  };
  const result = (await kind.run(context)) ?? {};
  return { ...run, result };
}

interface RunOptions {
  signal?: AbortSignal;
  /** What an earlier attempt has left. */
  checkpoint?: JsonObject | null;
  onEvent?: (event: Recorded) => void | Promise<void>;
}

function recording(): RecordedRun {
  const events: Recorded[] = [];
  return {
    events,
    partials: (kind) =>
      events.flatMap((event) => (event.type === "partial" && event.kind === kind ? [event.payload] : [])),
    progress: (phase) =>
      events.flatMap((event) => {
        if (event.type !== "progress" || event.phase !== phase) return [];
        const { current, total, detail } = event;
        return [{ current, total, ...(detail === undefined ? {} : { detail }) }];
      }),
  };
}
