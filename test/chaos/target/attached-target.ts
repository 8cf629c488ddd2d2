import { CuttingRelay } from "../../fault/support/cutting-relay.ts";
import type { SeededRandom } from "../../fault/support/random.ts";
import type { Target } from "./target.ts";

const SCHEME = /^http:\/\//;

/**
 * Attaches to servers that run already: only their network is attacked, through relays of this process.
 *
 * @param addresses `host:port` of gRPC endpoints without TLS
 */
export async function attachTo(addresses: readonly string[], random: SeededRandom): Promise<Target> {
  await using opened = new AsyncDisposableStack();
  const links = new Map<string, CuttingRelay>();
  for (const given of addresses) {
    if (given.startsWith("https://")) {
      throw new Error(`--against ${given}: the relays cannot pass TLS on, whose certificate names another host`);
    }
    const address = given.replace(SCHEME, "");
    links.set(address, opened.use(await CuttingRelay.open([address], () => random.next())));
  }
  const kinds = { hasWorker: false, hasPython: false, isEchoOnly: true };
  const rest = opened.move();
  return {
    links,
    namespaces: [{ name: "default", called: undefined, kinds }],
    service: null,
    gaps: ["faults of processes and databases: the servers run elsewhere"],
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
}
