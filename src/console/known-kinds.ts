import { signal } from "@preact/signals";
import { lackOf } from "./access/rights.ts";
import { answered, workerCalls } from "./calls.ts";

/** The names of the kinds that servers and workers run, as suggestions for input fields. */
export const knownKinds = signal<readonly string[]>([]);

/** Reads the kinds again. A failure is ignored, because a kind can be typed. */
export async function readKnownKinds(): Promise<void> {
  if (lackOf("tasks:read") !== null) return;
  try {
    const { sessions } = await answered(workerCalls.listSessions({}));
    knownKinds.value = [...new Set(sessions.flatMap(({ kinds }) => kinds))].sort();
  } catch {
    // Keeps the previous kinds.
  }
}
