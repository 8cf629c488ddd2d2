import type { CutManner, CuttingRelay } from "../../fault/support/cutting-relay.ts";
import { between, chance, choose } from "../workload/choices.ts";
import type { Fault, FaultContext, FaultDetails } from "./fault.ts";

const WORKERS_SHARE = 0.4;
const CONNECTIONS_MAX = 6;

/** Picks a link: that of the callers to a server, or that of the workers. */
export function pickLink({ target: { links, service }, random }: FaultContext): { name: string; relay: CuttingRelay } {
  if (service !== null && chance(random, WORKERS_SHARE)) return { name: "workers", relay: service.workerLink };
  const [name, relay] = choose(random, [...links]);
  return { name, relay };
}

/** Cuts some connections of a link, at random. @returns null: none was in use */
export function cutSome(
  { name, relay }: { name: string; relay: CuttingRelay },
  { random, manners }: Pick<FaultContext, "random"> & { manners: readonly CutManner[] },
): FaultDetails | null {
  const wanted = Math.floor(between(random, 1, CONNECTIONS_MAX));
  let connections = 0;
  while (connections < wanted && relay.cut(choose(random, manners))) connections++;
  return connections === 0 ? null : { target: `link of ${name}`, connections };
}

/** Makes a fault that cuts connections of a link at once. */
export function cutFault(name: string, manner: CutManner): Fault {
  return {
    name,
    lane: "links",
    isPossible: () => true,
    inject: (context) => Promise.resolve(cutSome(pickLink(context), { random: context.random, manners: [manner] })),
  };
}
