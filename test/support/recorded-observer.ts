import { UNOBSERVED } from "../../src/engine/api/engine-observer.ts";
import type { EngineObserver } from "../../src/engine/api/engine-observer.ts";

/** Records what one or more engines report. */
export interface RecordedObserver {
  observer: EngineObserver;
  /** As `began`, `attempt succeeded`, `task failed`, in order. */
  told: string[];
  /** How many events were committed. */
  events: () => number;
}

export function recordObserver(): RecordedObserver {
  const told: string[] = [];
  let events = 0;
  const observer: EngineObserver = {
    ...UNOBSERVED,
    attemptBegan: () => void told.push("began"),
    attemptEnded: (_, outcome) => void told.push(`attempt ${outcome}`),
    taskEnded: (_, status) => void told.push(`task ${status}`),
    flushed: (flush) => void (events += flush.events),
    eventsWritten: (count) => void (events += count),
  };
  return { observer, told, events: () => events };
}
