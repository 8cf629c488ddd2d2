// `npm run flake -- PATTERN N`: runs the tests whose names match PATTERN, N times over, and stops at the first failure.

import { spawnSync } from "node:child_process";
import { styleText } from "node:util";

const [pattern, count] = process.argv.slice(2);
const times = Number(count);
if (!pattern || !Number.isInteger(times) || times < 1) {
  console.error("usage: npm run flake -- PATTERN N");
  process.exit(2);
}

for (let run = 1; run <= times; run++) {
  const { status, stdout, stderr } = spawnSync("mocha", ["--grep", pattern], { encoding: "utf8", maxBuffer: Infinity });
  // A pattern that matches nothing, or only what is skipped, would pass for ever.
  const idle = /^0 passed, 0 failed/m.test(stdout);
  if (status !== 0 || idle) {
    process.stdout.write(stdout);
    process.stderr.write(stderr);
    console.error(styleText("red", idle ? `No test ran that matches ${pattern}` : `Run ${run} of ${times} failed`));
    process.exit(1);
  }
  console.log(`${run}/${times}`);
}
