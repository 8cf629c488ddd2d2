import { Overloaded } from "../../domain/errors.ts";
import { backoff } from "../../async/backoff.ts";

/**
 * Reads for a stream that is open: while all connections to the database are taken it waits on, where a new call is
 * refused. Each try waits for a connection by itself.
 *
 * @throws what the read throws, but for Overloaded, and the signal's reason
 */
export async function readPatiently<Answer>(read: () => Promise<Answer>, signal?: AbortSignal): Promise<Answer> {
  for (let failures = 1; ; failures++) {
    signal?.throwIfAborted();
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof Overloaded)) throw error;
      await backoff(failures, signal ?? NEVER);
    }
  }
}

const NEVER = new AbortController().signal;
