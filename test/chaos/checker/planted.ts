// `node test/chaos/checker/planted.ts`: plants each bug in a legal history, and prints how the checker reports it.

import { check } from "./check.ts";
import { BUGS, plantBug } from "./planted/bugs.ts";
import { shorten } from "./shorten.ts";

const rows = BUGS.map((bug) => {
  const { lines } = plantBug(bug);
  const violations = check(lines);
  const names = [...new Set(violations.map(({ promise }) => promise))];
  const shortest = violations.length === 0 ? [] : shorten(lines, violations[0]!).lines;
  const isCaught = names.length === 1 && names[0] === bug.promise && shortest.length <= bug.linesMax;
  return { ...bug, found: names.join(", ") || "nothing", lines: lines.length, shortest: shortest.length, isCaught };
});

console.log("| bug | reported as | lines | shortest history |");
console.log("|---|---|---|---|");
for (const { name, found, lines, shortest, isCaught, promise } of rows) {
  console.log(`| ${name} | ${isCaught ? `\`${found}\`` : `${found}, not as ${promise}`} | ${lines} | ${shortest} |`);
}
const missed = rows.filter(({ isCaught }) => !isCaught);
console.log(`\n${rows.length - missed.length} of ${rows.length} bugs were caught, each as its promise alone.`);
process.exitCode = missed.length === 0 ? 0 : 1;
