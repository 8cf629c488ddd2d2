// `npm run check:full`: what CI runs, and what takes too long for it and breaks rarely. About three hours, on a
// machine that does nothing else: the scenarios are held to times.

import { globSync } from "node:fs";
import { basename, join } from "node:path";
import { runSteps } from "./run-steps.ts";

const SCENARIOS = globSync("*.ts", { cwd: join(import.meta.dirname, "..", "test", "fault"), exclude: ["*.test.ts"] });

runSteps({
  "The rights of every call, at every endpoint": "npm run --silent test:access",
  "Clients in other languages": "npm run --silent test:clients",
  "The promises at every endpoint, on four shards": "npm run --silent test:shards",
  "The console, in Chromium": "npm run --silent test:browser",
  "The npm packages, installed": "npm run --silent test:packages",
  "Beside nginx, haproxy, pgbouncer and Prometheus, on the oldest Postgres": "npm run --silent test:neighbours",
  "The image, built and run": "npm run --silent test:image",
  "Everything that a change is held to": "npm run --silent check",
  "The tests that are marked @slow": "npm run --silent test -- --grep @slow",
  "Those in Chromium": "npm run --silent test:browser -- --grep @slow",
  ...Object.fromEntries(
    SCENARIOS.map((file) => basename(file, ".ts"))
      .toSorted()
      .map((name) => [`Under faults: ${name}`, `npm run --silent fault -- ${name}`]),
  ),
  "Every promise under random faults": "npm run --silent chaos -- --minutes 10",
  "Each mutated build is caught under random faults": "npm run --silent chaos:mutations",
  "Interleavings of journal and feed": "npm run --silent interleavings -- --seconds 600",
  "Each planted bug is found by interleavings": "npm run --silent interleavings:mutations",
  "Each planted bug is found by programs": "npm run --silent programs:mutations",
  "Programs beside the model, on Postgres": "npm run --silent programs -- --programs 100000 --seconds 1800",
  "Programs beside the model, on PGlite": "npm run --silent programs -- --programs 100000 --seconds 600 --store pglite",
  "Each measure of the benchmark works": "npm run --silent bench -- --all --peers --small --rounds 1",
});
