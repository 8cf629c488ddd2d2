import type { Kysely } from "kysely";
import { notify, openListener } from "../../store/connection/notifications.ts";
import type { Database } from "../../store/schema.ts";
import { untilAborted } from "../../async/abort.ts";
import { encodeProbe } from "./wakeup-message.ts";
import { wakeupChannel } from "./wakeups.ts";

/**
 * Sends a probe to itself on the path of wakeups: through the pool, to a connection that listens. Servers ignore it.
 *
 * @returns the delay in ms; null if the probe did not arrive before the signal fired
 * @throws if listening or sending fails
 */
export async function probeWakeups(
  { db, url, namespace }: { db: Kysely<Database>; url: string; namespace: string },
  signal: AbortSignal,
): Promise<number | null> {
  const channel = wakeupChannel(namespace);
  const probe = encodeProbe(crypto.randomUUID());
  const arrived = Promise.withResolvers<number>();
  const listener = await openListener(url, (_channel, payload) => {
    if (payload === probe) arrived.resolve(performance.now());
  });
  try {
    await listener.listen(channel);
    const sentAt = performance.now();
    await notify(db, channel, probe);
    const lost = listener.lost.then((): never => {
      throw new Error("the listening connection was lost");
    });
    const arrivedAt = await untilAborted(Promise.race([arrived.promise, lost]), signal);
    return arrivedAt === undefined ? null : arrivedAt - sentAt;
  } finally {
    await listener.close();
  }
}
