import { parseArgs } from "node:util";
import { MEASURES } from "./measures.ts";
import type { Limits } from "./measure.ts";
import { isKnown } from "./selection.ts";
import type { Wanted } from "./selection.ts";

export interface Options extends Wanted, Limits {
  rounds: number;
  /** Whether sizes are cut down, to see that everything works. */
  small: boolean;
  check: boolean;
  /** Where JSON goes: a file, or STDOUT. */
  json: string | undefined;
  svg: string | undefined;
  profile: string | undefined;
  help: boolean;
}

/** As the name of a file. */
export const STDOUT = "-";

const WHEN = { heavy: "heavy: ", peer: "peer: " };

export const USAGE = `npm run bench [-- [options] NAME…]

Takes the measures named, or all that are light, and the light ones that they are compared with.

  --rounds N      how often each is taken (5)
  --all           the heavy ones and the peers too: a quarter of an hour rather than five minutes
  --peers         the peers too, which are installed for it
  --only          leave out what the measures named are compared with
  --check         print each bar beside what was measured; exit 1 where one is missed, 2 where there is none
                  (without --check, too, it is 1 where a measure failed or the run was cut off)
  --json [FILE]   write JSON, to standard output, or to a file that is written anew after each measure
  --svg FILE      draw a chart of the ratios
  --small         a fiftieth of the heavy sizes, to see that everything works: the figures mean nothing
  --minutes N     how long each half of held-transaction takes (2); 60 for the whole
  --events N      how many events of expiry expire (1,000,000); 10,000,000 for the whole
  --profile DIR   the shared server leaves a CPU profile there when it stops

${MEASURES.map(({ name, about, only }) => `  ${name.padEnd(20)} ${only ? WHEN[only] : ""}${about}`).join("\n")}`;

/** @throws TypeError for what is no option, a measure that is not there, or rounds that cannot be */
export function parseOptions(args: readonly string[]): Options {
  const { values, positionals } = parseArgs({
    args: nameOutput(args),
    allowPositionals: true,
    options: {
      rounds: { type: "string", default: "5" },
      all: { type: "boolean", default: false },
      peers: { type: "boolean", default: false },
      only: { type: "boolean", default: false },
      check: { type: "boolean", default: false },
      json: { type: "string" },
      svg: { type: "string" },
      small: { type: "boolean", default: false },
      minutes: { type: "string" },
      events: { type: "string" },
      profile: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  const unknown = positionals.filter((name) => !isKnown(name));
  if (unknown.length > 0) throw new TypeError(`there is no measure ${unknown.join(", ")}`);
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) throw new TypeError("--rounds takes a number from 1");
  return {
    ...values,
    names: positionals,
    rounds,
    json: values.json,
    svg: values.svg,
    minutes: positive("--minutes", values.minutes),
    events: positive("--events", values.events),
    profile: values.profile,
  };
}

function positive(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!(value > 0 && value < Infinity)) throw new TypeError(`${option} takes a number above 0`);
  return value;
}

/** `--json` by itself means standard output; what follows it is its file unless it is an option or a measure. */
function nameOutput(args: readonly string[]): string[] {
  return args.map((arg, index) => {
    const next = args[index + 1];
    const alone = next === undefined || next.startsWith("--") || isKnown(next);
    return arg === "--json" && alone ? `--json=${STDOUT}` : arg;
  });
}
