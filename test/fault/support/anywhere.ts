import { setTimeout } from "node:timers/promises";
import { SpoolRpcError } from "../../../src/client/client.ts";
import type { SpoolClient } from "../../../src/client/client.ts";
import { pick } from "./scenario.ts";

export const RETRY_MS = 100;

/**
 * Calls one of the servers, and another when that one is away, until one answers.
 *
 * @param clients that do not try again by themselves
 */
export async function callAnywhere<Answer>(
  clients: readonly SpoolClient[],
  call: (client: SpoolClient) => Promise<Answer>,
  onAway: () => void = () => {},
): Promise<Answer> {
  for (;;) {
    try {
      return await call(pick(clients));
    } catch (error) {
      if (!isAway(error)) throw error;
      onAway();
      await setTimeout(RETRY_MS); // The server is down; the next may be the same.
    }
  }
}

/** Whether the server is not there, for now. */
export function isAway(error: unknown): error is SpoolRpcError {
  // A client of another release has a class of its own.
  const isOfCall = error instanceof Error && error.name === SpoolRpcError.name;
  if (!isOfCall) return false;
  const { code } = error as SpoolRpcError;
  return code === "UNAVAILABLE" || code === "RESOURCE_EXHAUSTED";
}
