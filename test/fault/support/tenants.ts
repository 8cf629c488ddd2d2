import { setTimeout } from "node:timers/promises";
import type { SpoolClient, SpoolEvent } from "../../../src/client/client.ts";
import { isAway, RETRY_MS } from "./anywhere.ts";
import type { Findings } from "./scenario.ts";

/** A namespace and its callers. */
export interface Tenant {
  name: string;
  /** A client of each server, which does not retry. */
  clients: SpoolClient[];
  taskIds: string[];
}

/** Follows all tasks of a namespace, from server to server, until a number of tasks has ended. */
export async function followNamespace(
  { name, clients }: Tenant,
  { expected, findings, signal }: { expected: () => number; findings: Findings; signal: AbortSignal },
): Promise<Map<string, SpoolEvent[]>> {
  const tapes = new Map<string, SpoolEvent[]>();
  let ended = 0;
  let cursor: string | undefined;
  for (let turn = 0; !signal.aborted; turn++) {
    try {
      const query = { cursor, fromStart: cursor === undefined };
      for await (const frame of clients[turn % clients.length]!.followTasks(query, { signal })) {
        for (const { taskId, events } of frame.tasks) {
          const tape = tapes.get(taskId) ?? [];
          tapes.set(taskId, tape);
          for (const event of events) {
            if (Number(event.seq) !== tape.length + 1) findings.violation(`${name}: seq ${event.seq} of ${taskId} after ${tape.length}`); // prettier-ignore
            tape.push(event);
            if (event.type === "final") ended++;
          }
        }
        cursor = frame.cursor;
        if (ended >= expected()) return tapes;
      }
    } catch (error) {
      if (signal.aborted) break;
      if (!isAway(error)) throw error;
      findings.count("times that a follower of a namespace came back");
      await setTimeout(RETRY_MS);
    }
  }
  return tapes;
}
