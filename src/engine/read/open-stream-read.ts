import { retryWhile } from "../../async/retry.ts";
import { Overloaded } from "../../domain/errors.ts";

/**
 * Reads for an open stream. Retries while all connections to the database are taken; a new call would be refused.
 *
 * @throws what the read throws, except Overloaded, and the signal's reason
 */
export async function readForOpenStream<Answer>(read: () => Promise<Answer>, signal?: AbortSignal): Promise<Answer> {
  signal?.throwIfAborted();
  return await retryWhile(isOverload, read, { signal });
}

function isOverload(error: unknown): boolean {
  return error instanceof Overloaded;
}
