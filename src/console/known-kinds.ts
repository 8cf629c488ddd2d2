import { signal } from "@preact/signals";
import { answered, workerCalls } from "./calls.ts";

/** The kinds that the servers and workers run, by name: what a field for a kind offers. */
export const knownKinds = signal<readonly string[]>([]);

/** Asks anew. What cannot be had is no loss: a kind may be typed. */
export async function readKnownKinds(): Promise<void> {
  try {
    const { sessions } = await answered(workerCalls.listSessions({}));
    knownKinds.value = [...new Set(sessions.flatMap(({ kinds }) => kinds))].sort();
  } catch {
    // As it was.
  }
}
