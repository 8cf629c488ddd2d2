// `npm run check`: every check that CI makes of a change, cheapest first. It stops at the first step that fails. The tests
// come last, so that their count is the last line. `npm run check:static` leaves the tests out.

import { mkdtempDisposableSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runSteps } from "./run-steps.ts";

using fresh = mkdtempDisposableSync(join(tmpdir(), "spool-check-"));
const freshCode = join(fresh.path, "src", "gen");
const env = { ...process.env, BUF_CACHE_DIR: join(fresh.path, "buf") }; // Not every user that checks has a home.

const STEPS: Readonly<Record<string, string>> = {
  "The generated code is what the proto files say": `buf generate -o "${fresh.path}" && git --no-pager diff --no-index src/gen "${freshCode}"`,
  "The Python client knows the messages that the proto files have": "node scripts/build-python-messages.ts --check",
  "The proto files are well made": "buf lint",
  "No caller of the last release is broken": "buf breaking --against proto/spool.v1.binpb",
  "The types hold": "npm run --silent types",
  "The linter finds nothing": "npm run --silent lint",
  "The format is the house's": "prettier --check --log-level warn .",
  "Nothing is unused": "knip",
  "The prose is plain": "npm run --silent prose",
  ...(process.argv.includes("--static") ? {} : { "The tests pass": "npm run --silent test -- --forbid-only" }),
};

runSteps(STEPS, env);
