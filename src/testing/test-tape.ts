import type { SpoolEvent } from "../codec/event-types.ts";
import type { EventBodies, NewEvent } from "../domain/event.ts";
import type { JsonObject } from "../domain/json.ts";

/** The tape of a task that a test runs, in memory. */
export class TestTape {
  readonly events: SpoolEvent[] = [];
  readonly #onEvent: (event: SpoolEvent) => void;

  /** @param onEvent called with each event, after the event is on the tape */
  constructor(onEvent: (event: SpoolEvent) => void) {
    this.#onEvent = onEvent;
  }

  append({ type, body }: NewEvent): void {
    const position = { seq: BigInt(this.events.length + 1), time: new Date() };
    const event = { ...position, type, ...fields(type, JSON.parse(body) as JsonObject) } as SpoolEvent;
    this.events.push(event);
    this.#onEvent(event);
  }

  /** Returns a copy of the payload of the last partial of kind `checkpoint`; null: there is none. */
  lastCheckpoint(): JsonObject | null {
    const last = this.events.findLast((event) => event.type === "partial" && event.kind === "checkpoint");
    return last?.type === "partial" ? structuredClone(last.payload) : null;
  }
}

function fields(type: NewEvent["type"], body: JsonObject): object {
  if (type !== "retrying") return body;
  const { error, next_attempt_at: at } = body as unknown as EventBodies["retrying"];
  return { error, nextAttemptAt: new Date(at) };
}
