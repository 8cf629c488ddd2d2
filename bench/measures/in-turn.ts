import type { SpoolClient } from "../../src/client/client.ts";
import type { Figure, Measure } from "../measure.ts";
import type { Servers } from "../servers.ts";

/** How often the variants take turns within a round: what the machine does meanwhile then falls on all of them. */
const TURNS = 4;

/** Variants of a server that are measured in turn, each on a database of its own. */
export interface Variants<Name extends string> {
  names: readonly Name[];
  /** What is special about each variant, for the report. */
  about: Record<Name, string>;
  /** The variant that each is compared with, and the least ratio. Left out: it is compared with none. */
  comparedWith: Partial<Record<Name, { with: Name; atLeast: number }>>;
  /** Starts the servers and their clients, in the order of the names. */
  start(servers: Servers): Promise<{ clients: SpoolClient[]; close(): Promise<void> }>;
}

/** Returns a measure whose variants take turns within each round, so that they share what the machine does. */
export function inTurn<Name extends string>(
  variants: Variants<Name>,
  {
    name,
    unit,
    about,
    why,
    turn,
  }: {
    name: string;
    unit: string;
    about: string;
    why: string;
    /** @returns how many a second */
    turn(client: SpoolClient, size: (full: number) => number): Promise<number>;
  },
): Measure {
  const { names } = variants;
  const figures = names.map((variant): Figure => {
    const comparison = variants.comparedWith[variant];
    const comparisons =
      comparison === undefined ? [] : [{ with: `${name}-${comparison.with}`, bar: { atLeast: comparison.atLeast } }];
    return { name: `${name}-${variant}`, unit, about: `${about}, ${variants.about[variant]}`, comparisons };
  });
  return {
    name,
    about: `${about}: ${why}`,
    figures,
    only: "heavy",
    async prepare(servers, size) {
      const { clients, close } = await variants.start(servers);
      for (const client of [...clients, ...clients]) await turn(client, size); // Each has to be warm.
      return {
        async run() {
          const secondsOf = clients.map(() => 0);
          for (let taken = 0; taken < TURNS; taken++) {
            for (let place = 0; place < clients.length; place++) {
              const index = (place + taken) % clients.length; // No variant is always first.
              secondsOf[index]! += 1 / (await turn(clients[index]!, size));
            }
          }
          return Object.fromEntries(names.map((variant, index) => [`${name}-${variant}`, TURNS / secondsOf[index]!]));
        },
        close,
      };
    },
  };
}
