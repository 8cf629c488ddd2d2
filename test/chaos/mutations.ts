// `npm run chaos:mutations [-- NAME…] [--minutes N]`: attacks one mutated build after the other, and requires that the
// checker reports the promise that each of them breaks. A run that does not report it is repeated with another seed.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { parseArgs, styleText } from "node:util";
import { MUTATIONS, withMutation } from "./build-mutations.ts";
import type { MutationName } from "./build-mutations.ts";

const TRIES = 3;

const { values, positionals } = parseArgs({
  options: { minutes: { type: "string", default: "1" } },
  allowPositionals: true,
});
const names = (positionals.length > 0 ? positionals : Object.keys(MUTATIONS)) as MutationName[];
const unknown = names.find((name) => !Object.hasOwn(MUTATIONS, name));
if (unknown !== undefined)
  throw new Error(`unknown mutation "${unknown}"; known: ${Object.keys(MUTATIONS).join(", ")}`);

let caught = 0;
for (const name of names) {
  const { what, promise } = MUTATIONS[name];
  const { isCaught, tries, reported } = await withMutation(name, (root) => attack(root, promise));
  if (isCaught) caught++;
  console.log(`${styleText(isCaught ? "green" : "red", isCaught ? "✓" : "✗")} ${name}: ${what}`);
  console.log(styleText("dim", `    ${promise}; reported in run ${tries}: ${reported.join(", ") || "nothing"}`));
}
console.log(`${caught} of ${names.length} mutated builds were caught`);
process.exitCode = caught === names.length ? 0 : 1;

/** Attacks the build in a folder. @returns the promises that the last run reported */
async function attack(root: string, promise: string) {
  for (let tries = 1; ; tries++) {
    const output = await runChaos(root);
    const reported = [...output.matchAll(/^([a-z-]+): \d+ violations?$/gm)].map(([, name]) => name!);
    const isCaught = reported.includes(promise);
    if (isCaught || tries === TRIES) return { isCaught, tries, reported };
  }
}

async function runChaos(root: string): Promise<string> {
  const args = [join(root, "test", "chaos", "main.ts"), "--minutes", values.minutes];
  const run = spawn(process.execPath, args, { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  run.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  await once(run, "close");
  return output;
}
