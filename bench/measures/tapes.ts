import type { SpoolClient, SpoolEvent } from "../../src/client/client.ts";
import { burst } from "../kinds.ts";

/** Of a task that emits so many events: `started` and `final` are on its tape too. */
export function tapeLength(emitted: number): number {
  return emitted + 2;
}

/**
 * Reads a tape to its end.
 *
 * @throws if it is not as long as it has to be, or did not end well: then nothing was measured
 */
export async function countTape(events: AsyncIterable<SpoolEvent>, emitted: number): Promise<void> {
  let seen = 0;
  let last: SpoolEvent | undefined;
  for await (const event of events) {
    seen++;
    last = event;
  }
  if (seen === tapeLength(emitted) && last?.type === "final" && last.status === "succeeded") return;
  throw new Error(`a tape of ${seen} events that ends with ${last?.type}, instead of ${tapeLength(emitted)}`);
}

/** Starts a task that emits some events, and follows it to its end. */
export async function runBurst(client: SpoolClient, events: number): Promise<void> {
  const run = await client.run({ kind: burst.name, params: { events } });
  await countTape(run.events, events);
}
