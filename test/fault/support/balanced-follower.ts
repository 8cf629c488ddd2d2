import { connect } from "../../../src/client/client.ts";
import type { ReconnectNotice, SpoolEvent } from "../../../src/client/client.ts";
import type { Backend, Balancer, Entrance } from "./balancer.ts";

/** A follower behind a balancer, with a client and so a connection of its own, that comes back by itself. */
export interface BalancedFollower {
  readonly taskId: string;
  readonly entrance: Entrance;
  /** What it was given of the tape, from its first event on. */
  readonly events: readonly SpoolEvent[];
  /** Each time that a stream, or the try to open one, ended with an error. */
  readonly losses: readonly Loss[];
  /** Resolves when the tape has ended, rejects when it has given up. */
  readonly ended: Promise<void>;
}

export interface Loss {
  /** By performance.now(). */
  at: number;
  /** Whose stream it was; null: it had not come through to any server. */
  backend: Backend | null;
  /** What the server said of it; undefined: nothing, it just broke. */
  reason: string | undefined;
  /** When the last event before it had come. */
  lastEventAt: number;
}

/** Follows a tape from its beginning; resolves with the first event. */
export async function followBehind(balancer: Balancer, taskId: string, signal: AbortSignal): Promise<BalancedFollower> {
  const entrance = await balancer.open();
  const begun = Promise.withResolvers<void>();
  const [events, losses] = [[] as SpoolEvent[], [] as Loss[]];
  let lastEventAt = 0;
  const onReconnect = (notice: ReconnectNotice) => {
    if (notice.state === "resumed") return;
    const backend = entrance.connections.at(-1)?.backend ?? null;
    losses.push({ at: performance.now(), backend, reason: notice.error.reason, lastEventAt });
  };
  const follow = async () => {
    using client = connect({ address: entrance.address });
    for await (const event of client.follow({ taskId }, { onReconnect, signal })) {
      events.push(event);
      lastEventAt = performance.now();
      begun.resolve();
    }
  };
  const ended = follow();
  ended.catch(begun.reject);
  await begun.promise;
  return { taskId, entrance, events, losses, ended };
}
