import { UNWATCHED } from "../../src/engine/api/engine-metrics.ts";
import type { EngineWatch } from "../../src/engine/api/engine-metrics.ts";

/** What engines have told of tasks and events, which several may have told one watch. */
export interface RecordedWatch {
  watch: EngineWatch;
  /** As `began`, `attempt succeeded`, `task failed`, in order. */
  told: string[];
  /** How many events were committed. */
  events: () => number;
}

export function recordWatch(): RecordedWatch {
  const told: string[] = [];
  let events = 0;
  const watch: EngineWatch = {
    ...UNWATCHED,
    attemptBegan: () => void told.push("began"),
    attemptEnded: (_, outcome) => void told.push(`attempt ${outcome}`),
    taskEnded: (_, status) => void told.push(`task ${status}`),
    flushed: (flush) => void (events += flush.events),
    eventsWritten: (count) => void (events += count),
  };
  return { watch, told, events: () => events };
}
