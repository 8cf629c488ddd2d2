import { setTimeout } from "node:timers/promises";
import type { SpoolClient, SpoolEvent } from "../../../src/client/client.ts";
import { isAway, RETRY_MS } from "./anywhere.ts";
import { pick } from "./scenario.ts";

/** After so many of the events it leaves. */
const LEAVE_SHARE = 0.05;

/** What a follower was given of a tape, and how often it came back. */
export interface Followed {
  taskId: string;
  events: SpoolEvent[];
  reconnects: number;
}

/**
 * Follows a tape to its end over whichever server: it leaves in the middle now and then, and comes back to any of
 * them, with its next seq, when it left or its server died.
 *
 * @param clients that do not try again by themselves
 * @param events what it was given before
 */
export async function followAnywhere(
  clients: readonly SpoolClient[],
  taskId: string,
  events: readonly SpoolEvent[] = [],
): Promise<Followed> {
  const followed: Followed = { taskId, events: [...events], reconnects: 0 };
  for (; followed.events.at(-1)?.type !== "final"; followed.reconnects++) {
    try {
      for await (const event of pick(clients).follow({ taskId, fromSeq: BigInt(followed.events.length + 1) })) {
        followed.events.push(event);
        if (event.type !== "final" && Math.random() < LEAVE_SHARE) break;
      }
    } catch (error) {
      if (!isAway(error)) throw error;
      await setTimeout(RETRY_MS); // Its server has died; the next may be the same.
    }
  }
  followed.reconnects--;
  return followed;
}
