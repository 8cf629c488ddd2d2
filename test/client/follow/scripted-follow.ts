import { connect } from "../../../src/client/client.ts";
import type { ConnectOptions, EventView, FollowOptions, SpoolEvent } from "../../../src/client/client.ts";
import { serveScript, TASK_ID } from "../scripted-server.ts";
import type { Script } from "../scripted-server.ts";

/** What a follower has received so far. */
export class Received {
  readonly events: SpoolEvent[] = [];
  #waiting: { count: number; resolve: () => void }[] = [];

  push(event: SpoolEvent) {
    this.events.push(event);
    for (const { count, resolve } of this.#waiting) if (this.events.length >= count) resolve();
  }

  /** Resolves after a number of events. */
  async until(count: number): Promise<void> {
    if (this.events.length >= count) return;
    await new Promise<void>((resolve) => this.#waiting.push({ count, resolve }));
  }
}

interface Options extends FollowOptions {
  fromSeq?: bigint;
  view?: EventView;
  connect?: ConnectOptions;
  onEvent?: (event: SpoolEvent) => void;
  received?: Received;
}

/** Follows a task of a scripted server to the end. */
export async function follow(
  streamEvents: NonNullable<Script["streamEvents"]>,
  options: Options = {},
): Promise<SpoolEvent[]> {
  const { fromSeq, view, connect: connectOptions, onEvent, received = new Received(), ...followOptions } = options;
  await using server = await serveScript({ streamEvents });
  using client = connect({ address: server.address, ...connectOptions });
  for await (const next of client.follow({ taskId: TASK_ID, fromSeq, view }, followOptions)) {
    received.push(next);
    onEvent?.(next);
  }
  return received.events;
}

export const seqs = (events: readonly SpoolEvent[]) => events.map(({ seq }) => seq);
export const range = (length: number) => Array.from({ length }, (_, index) => BigInt(index + 1));
