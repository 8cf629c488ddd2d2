import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";

export const USAGE = `usage: npm run chaos -- [--minutes N] [--seed S] [--history FILE] [--fault NAME…] [--against ADDRESS…]

Attacks a Spool and checks what it promises. Without --against, starts a service of its own on this machine.

  --minutes N         how long tasks are started and faults injected (default 10)
  --seed S            of the workload and the faults, 0 to 4294967295 (default random)
  --history FILE      where to keep the history (default: kept only if a promise was broken)
  --fault NAME        inject only this fault; may be repeated (default all that are possible)
  --against ADDRESS   gRPC endpoint without TLS of a running service, host:port; may be repeated. The token is SPOOL_TOKEN.
                      Runs only tasks of kind echo, and attacks only its own callers and the network`;

export interface Options {
  minutes: number;
  seed: number;
  /** null: a temporary file. */
  history: string | null;
  /** Empty: all. */
  faults: readonly string[];
  /** Empty: a service of its own. */
  against: readonly string[];
}

/** @throws Error with what is wrong with the arguments */
export function readOptions(args: readonly string[], faultNames: readonly string[]): Options {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: "string", default: "10" },
      seed: { type: "string" },
      history: { type: "string" },
      fault: { type: "string", multiple: true, default: [] },
      against: { type: "string", multiple: true, default: [] },
    },
    allowPositionals: true, // Further addresses after --against.
  });
  const { minutes, seed = `${randomInt(2 ** 32)}`, history = null, fault: faults } = values;
  if (positionals.length > 0 && values.against.length === 0) throw new Error(`unknown argument "${positionals[0]}"`);
  if (!(Number(minutes) > 0)) throw new Error(`--minutes must be a number above 0, is "${minutes}"`);
  if (!/^\d+$/.test(seed) || Number(seed) >= 2 ** 32) throw new Error(`--seed must be 0 to 4294967295, is "${seed}"`);
  const unknown = faults.find((name) => !faultNames.includes(name));
  if (unknown !== undefined) throw new Error(`unknown fault "${unknown}"; known faults: ${faultNames.join(", ")}`);
  const against = [...values.against, ...positionals];
  return { minutes: Number(minutes), seed: Number(seed), history, faults, against };
}
