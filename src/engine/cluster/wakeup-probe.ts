import type { Kysely } from "kysely";
import { listen, notify } from "../../store/connection/notifications.ts";
import type { Database } from "../../store/schema.ts";
import { untilAborted } from "../../async/abort.ts";
import { encodeProbe } from "./wakeup-message.ts";
import { wakeupChannel } from "./wakeups.ts";

/**
 * Sends a wakeup to itself, the way that servers send theirs: by the pool, to a connection that listens. Servers leave
 * it unheard.
 *
 * @returns how long it took, in ms; null: it did not arrive before the signal
 * @throws where nobody can listen or send
 */
export async function probeWakeups(
  { db, url, namespace }: { db: Kysely<Database>; url: string; namespace: string },
  signal: AbortSignal,
): Promise<number | null> {
  const channel = wakeupChannel(namespace);
  const probe = encodeProbe(crypto.randomUUID());
  const arrived = Promise.withResolvers<number>();
  const listener = await listen(url, channel, (payload) => {
    if (payload === probe) arrived.resolve(performance.now());
  });
  try {
    const sentAt = performance.now();
    await notify(db, channel, probe);
    const lost = listener.lost.then((): never => {
      throw new Error("the connection that listens was lost");
    });
    const arrivedAt = await untilAborted(Promise.race([arrived.promise, lost]), signal);
    return arrivedAt === undefined ? null : arrivedAt - sentAt;
  } finally {
    await listener.close();
  }
}
