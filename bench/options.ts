import { parseArgs } from "node:util";
import { MEASURES } from "./measures.ts";
import type { Limits } from "./measure.ts";
import { isKnown } from "./selection.ts";
import type { Wanted } from "./selection.ts";
import type { ServiceSize } from "./service.ts";

export interface Options extends Wanted, Limits {
  rounds: number;
  /** Of the service that measures share, or that clients elsewhere load. */
  size: ServiceSize;
  /** Whether clients on other machines load the service, rather than the measures. */
  clientsElsewhere: boolean;
  /** The address that the servers of the shared service listen on; undefined: 127.0.0.1. */
  listen: string | undefined;
  /** Whether sizes are cut down, to see that everything works. */
  small: boolean;
  check: boolean;
  /** Where JSON goes: a file, or STDOUT. */
  json: string | undefined;
  /** Where the document goes that others can compare with: a file. */
  report: string | undefined;
  /** Such documents. Two: they are compared with each other, and nothing is measured. */
  compare: readonly string[];
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
  --all           the heavy ones and the peers too: half an hour rather than five minutes
  --peers         the peers too, which are installed for it
  --only          leave out what the measures named are compared with
  --check         print each bar beside what was measured; exit 1 where one is missed, 2 where there is none
                  (without --check, too, it is 1 where a measure failed or the run was cut off)
  --json [FILE]   write JSON, to standard output, or to a file that is written anew after each measure
  --report FILE   write a document of the run that can be sent and compared: machine, options, figures, CPU times
  --compare FILE  print the figures of the run beside those of a document of --report; twice: compare two documents
  --svg FILE      draw a chart of the ratios
  --small         a fiftieth of the heavy sizes, to see that everything works: the figures mean nothing
  --minutes N     how long each half of held-transaction takes (2); 60 for the whole
  --events N      how many events of expiry expire (1,000,000); 10,000,000 for the whole
  --profile DIR   the shared server leaves a CPU profile there when it stops

The service that measures share, and that clients elsewhere load:

  --shards N      shards, each with a namespace; work of many tasks is spread over them (1)
  --postgres N    Postgres servers that the shards are on, at most as many as shards (one for each shard)
  --servers N     Spool servers (1; with --clients-elsewhere, one for each shard)

Clients on other machines, instead of the measures:

  --clients-elsewhere  print the command for other machines, wait for them, and have them load the service
  --clients N     how many clients to wait for (1)
  --seconds N     how long each kind of work is done in each round (10)
  --listen HOST   the address of this machine that its servers listen on, and that clients call (127.0.0.1)

${MEASURES.map(({ name, about, only }) => `  ${name.padEnd(20)} ${only ? WHEN[only] : ""}${about}`).join("\n")}`;

/** @throws TypeError for what is no option, a measure that is not there, or numbers that cannot be */
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
      report: { type: "string" },
      compare: { type: "string", multiple: true, default: [] },
      svg: { type: "string" },
      small: { type: "boolean", default: false },
      minutes: { type: "string" },
      events: { type: "string" },
      profile: { type: "string" },
      shards: { type: "string", default: "1" },
      postgres: { type: "string" },
      servers: { type: "string" },
      "clients-elsewhere": { type: "boolean", default: false },
      clients: { type: "string" },
      seconds: { type: "string" },
      listen: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  const unknown = positionals.filter((name) => !isKnown(name));
  if (unknown.length > 0) throw new TypeError(`there is no measure ${unknown.join(", ")}`);
  const clientsElsewhere = values["clients-elsewhere"];
  if (clientsElsewhere && positionals.length > 0) throw new TypeError("--clients-elsewhere goes with no measure");
  for (const option of ["clients", "seconds", "listen"] as const) {
    if (values[option] === undefined || clientsElsewhere) continue;
    throw new TypeError(`--${option} goes with --clients-elsewhere`);
  }
  if (values.compare.length > 2) throw new TypeError("--compare takes one file, or two");
  const shards = whole("--shards", values.shards);
  const size: ServiceSize = {
    shards,
    postgres: whole("--postgres", values.postgres ?? `${shards}`),
    servers: whole("--servers", values.servers ?? (clientsElsewhere ? `${shards}` : "1")),
  };
  if (size.postgres > shards) throw new TypeError("--postgres takes at most the number of --shards");
  return {
    ...values,
    names: positionals,
    rounds: whole("--rounds", values.rounds),
    size,
    clientsElsewhere,
    json: values.json,
    report: values.report,
    svg: values.svg,
    minutes: positive("--minutes", values.minutes),
    events: positive("--events", values.events),
    seconds: positive("--seconds", values.seconds),
    clients: values.clients === undefined ? undefined : whole("--clients", values.clients),
    listen: values.listen,
    profile: values.profile,
  };
}

function whole(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new TypeError(`${option} takes a whole number from 1`);
  return value;
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
