// A caller of the fault scenario, in a process of its own: `rude-process.ts ATTACK TARGET [CPU_SHARE]`. It says `begun`,
// attacks until its standard input ends, then prints an AttackEnd.

import { ATTACKS, BURN, burn } from "./rude-attacks.ts";
import type { AttackEnd, Target } from "./rude-attacks.ts";

const [attack, target, cpuShare] = process.argv.slice(2);
const ended = new AbortController();
process.stdin.on("end", () => ended.abort()).resume();
const answers: Record<string, number> = {};
const count = (answer: string) => (answers[answer] = (answers[answer] ?? 0) + 1);
const before = process.cpuUsage();
const begun = performance.now();
console.log("begun");
if (attack === BURN) await burn(Number(cpuShare), ended.signal);
else await ATTACKS[attack!]!(JSON.parse(target!) as Target, count, ended.signal);
const { user, system } = process.cpuUsage(before);
const end: AttackEnd = { answers, cpuShare: (user + system) / 1_000 / (performance.now() - begun) };
console.log(JSON.stringify(end));
process.exit();
