import { TROUBLES } from "../../fault/support/troubles.ts";
import type { OwnPostgres, OwnService } from "../target/target.ts";
import { choose } from "../workload/choices.ts";
import { faultOfService } from "./fault.ts";
import type { Fault } from "./fault.ts";

/** Makes a fault of a trouble that the fault scenarios know. @param isPossible of which Postgres servers */
export function troubleFault({
  name,
  trouble: troubleName,
  holdMs: [minMs, maxMs],
  isPossible = () => true,
}: {
  name: string;
  trouble: string;
  holdMs: readonly [number, number];
  isPossible?: (database: OwnPostgres) => boolean;
}): Fault {
  const trouble = TROUBLES.find((trouble) => trouble.name === troubleName);
  if (trouble === undefined) throw new Error(`there is no trouble named ${troubleName}`);
  const candidates = ({ databases }: OwnService) => databases.filter(isPossible);
  return faultOfService({
    name,
    lane: "databases",
    isPossible: (service) => candidates(service).length > 0,
    async inject(service, { random, hold }) {
      const { name: target, scene } = choose(random, candidates(service));
      const heal = await trouble.begin(scene);
      try {
        await hold(minMs, maxMs);
      } finally {
        await heal();
      }
      return { target };
    },
  });
}
