import type { SpoolClient } from "../../src/client/client.ts";
import { machineMs } from "../clock.ts";
import { paced } from "../kinds.ts";

/** How long each of so many events took from emit to the follower, in ms. */
export async function sampleDelays(
  client: SpoolClient,
  { events, perSecond }: { events: number; perSecond: number },
): Promise<number[]> {
  const delays: number[] = [];
  const run = await client.run({ kind: paced.name, params: { events, per_second: perSecond } });
  for await (const event of run.events) {
    if (event.type === "progress") delays.push(machineMs() - Number(event.detail!["at"]));
  }
  if (delays.length !== events) throw new Error(`${delays.length} of ${events} events came`);
  return delays;
}
