// A caller of the fault scenario, in a process of its own: `rude-process.ts ATTACK TARGET`. It says `begun`, attacks until
// its standard input ends, then prints how often it was answered how, as JSON.

import { ATTACKS } from "./rude-attacks.ts";
import type { Target } from "./rude-attacks.ts";

const [attack, target] = process.argv.slice(2);
const ended = new AbortController();
process.stdin.on("end", () => ended.abort()).resume();
const answers: Record<string, number> = {};
const count = (answer: string) => (answers[answer] = (answers[answer] ?? 0) + 1);
console.log("begun");
await ATTACKS[attack!]!(JSON.parse(target!) as Target, count, ended.signal);
console.log(JSON.stringify(answers));
process.exit();
