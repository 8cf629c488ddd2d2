import { connect } from "../../src/client/client.ts";
import type { Worked } from "../cpu/meter.ts";
import { quantile } from "../statistics.ts";
import { WORKS } from "./works.ts";
import type { Work } from "./works.ts";

/** A namespace at a server, as the work of a client reaches it. */
export interface Target {
  address: string;
  /** Left out: that of the server's settings. */
  namespace?: string;
}

/** What a client is asked to do. */
export interface LoadOrder {
  work: Work;
  /** How many turns it takes, or for how long it begins new ones. */
  until: { turns: number } | { seconds: number };
  /** How many turns are under way at once, spread evenly over the targets. Left out: as the work says. */
  atOnce?: number;
}

/** What a client has done. */
export interface LoadDone extends Worked {
  /** The same by target, in their order. */
  counts: readonly number[];
  seconds: number;
  /** How long a turn took. */
  p50Ms: number;
  p99Ms: number;
}

/** A client of all targets. */
export interface Load extends Disposable {
  run(order: LoadOrder): Promise<LoadDone>;
}

/** @param token for all targets; undefined: SPOOL_TOKEN, else none */
export function openLoad(targets: readonly Target[], token?: string): Load {
  const clients = targets.map((target) => connect({ ...target, token }));
  return {
    run: (order) => run(clients, order),
    [Symbol.dispose]: () => clients.forEach((client) => client.close()),
  };
}

async function run(clients: readonly ReturnType<typeof connect>[], order: LoadOrder): Promise<LoadDone> {
  const { turn, each, atOnce: usual } = WORKS[order.work];
  const { until, atOnce = Math.max(usual, clients.length) } = order;
  const counts = clients.map(() => 0);
  const tookMs: number[] = [];
  let left = "turns" in until ? until.turns : Infinity;
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  const endsAt = "seconds" in until ? startedAt + until.seconds * 1_000 : Infinity;
  const worker = async (index: number) => {
    const place = index % clients.length;
    while (left-- > 0 && performance.now() < endsAt) {
      const turnAt = performance.now();
      await turn(clients[place]!);
      tookMs.push(performance.now() - turnAt);
      counts[place]! += each;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, (_, index) => worker(index)));
  const seconds = (performance.now() - startedAt) / 1_000;
  const { user, system } = process.cpuUsage(cpuBefore);
  return {
    count: counts.reduce((sum, count) => sum + count, 0),
    counts,
    clientUs: user + system,
    seconds,
    p50Ms: quantile(tookMs, 0.5),
    p99Ms: quantile(tookMs, 0.99),
  };
}
