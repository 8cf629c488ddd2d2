import { connect } from "../src/client/client.ts";
import type { SpoolClient } from "../src/client/client.ts";
import type { Target } from "./load/load.ts";

/** Clients of several targets, for work that may be done at any of them. */
export interface Spread extends Disposable {
  /** Each in turn. */
  next(): SpoolClient;
  close(): void;
}

export function connectAll(targets: readonly Target[]): Spread {
  const clients = targets.map((target) => connect(target));
  const close = () => clients.forEach((client) => client.close());
  let turn = 0;
  return { next: () => clients[turn++ % clients.length]!, close, [Symbol.dispose]: close };
}
