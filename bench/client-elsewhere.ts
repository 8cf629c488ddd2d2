// `npm run bench:client -- ADDRESS…`: loads Spool servers from another machine, and prints a line of JSON for each load.
// `npm run bench -- --clients-elsewhere` prints the whole command. The token is read from SPOOL_TOKEN.

import { setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { Instruction } from "./elsewhere/coordinator.ts";
import { openLoad } from "./load/load.ts";
import type { Load, LoadDone, LoadOrder } from "./load/load.ts";
import { WORK_NAMES } from "./load/works.ts";
import type { Work } from "./load/works.ts";

const USAGE = `npm run bench:client -- [options] ADDRESS…

Loads the Spool servers at the addresses, which serve the kinds of the benchmark (spool serve --kinds bench/kinds.ts).
Sends the token SPOOL_TOKEN, if it is set. Prints a line of JSON for each load.

  --namespaces A,B  namespaces to spread the load over (that of the servers' settings)
  --bench URL       get the work from a bench that runs with --clients-elsewhere, and report to it
  --work NAME       ${WORK_NAMES.join(", ")} (short-task); not with --bench
  --seconds N       how long (10); not with --bench
  --at-once N       turns under way at once (64; of event, 16); not with --bench`;

const WARM: LoadOrder = { work: "short-task", until: { turns: 200 } };
const RETRY_MS = 500;
const LOST_MS_MAX = 30_000;

try {
  await main();
} catch (error) {
  console.error(error instanceof TypeError ? `${error.message}\n\n${USAGE}` : error);
  process.exitCode = error instanceof TypeError ? 2 : 1;
}

async function main(): Promise<void> {
  const { values, positionals: addresses } = parseArgs({
    allowPositionals: true,
    options: {
      namespaces: { type: "string" },
      bench: { type: "string" },
      work: { type: "string", default: "short-task" },
      seconds: { type: "string", default: "10" },
      "at-once": { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return console.log(USAGE);
  if (addresses.length === 0) throw new TypeError("give the address of a server");
  const namespaces = values.namespaces?.split(",");
  const targets = addresses.flatMap(
    (address) => namespaces?.map((namespace) => ({ address, namespace })) ?? { address },
  );
  using load = openLoad(targets);
  await load.run(WARM); // Also fails where the servers cannot be reached.
  if (values.bench !== undefined) return await obey(load, values.bench); // Before the load is disposed.
  const atOnce = values["at-once"] === undefined ? {} : { atOnce: numberOf("--at-once", values["at-once"]) };
  const until = { seconds: numberOf("--seconds", values.seconds) };
  const order: LoadOrder = { work: workOf(values.work), until, ...atOnce };
  print(order, await load.run(order));
}

/** Does what the bench says, until it says that it is over. */
async function obey(load: Load, bench: string): Promise<void> {
  for (;;) {
    const instruction = (await (await post(bench, "/work")).json()) as Instruction;
    if ("over" in instruction) return;
    if (!("order" in instruction)) continue;
    const done = await load.run(instruction.order);
    print(instruction.order, done);
    await post(bench, "/done", done);
  }
}

async function post(bench: string, path: string, body: object = {}): Promise<Response> {
  const headers = { authorization: `Bearer ${process.env["SPOOL_TOKEN"] ?? ""}`, "content-type": "application/json" };
  for (const until = performance.now() + LOST_MS_MAX; ; await setTimeout(RETRY_MS)) {
    try {
      const response = await fetch(new URL(path, bench), { method: "POST", headers, body: JSON.stringify(body) });
      if (response.ok) return response;
      throw new Error(`the bench at ${bench} answered ${response.status}`);
    } catch (error) {
      if (!(error instanceof TypeError) || performance.now() > until)
        throw new Error("the bench is gone", { cause: error });
    }
  }
}

function print({ work, atOnce }: LoadOrder, { count, seconds, ...done }: LoadDone): void {
  console.log(JSON.stringify({ work, atOnce, count, seconds, perSecond: count / seconds, ...done }));
}

function workOf(name: string): Work {
  const work = WORK_NAMES.find((known) => known === name);
  if (work === undefined) throw new TypeError(`there is no work ${name}`);
  return work;
}

function numberOf(option: string, text: string): number {
  const value = Number(text);
  if (!(value > 0 && value < Infinity)) throw new TypeError(`${option} takes a number above 0`);
  return value;
}
