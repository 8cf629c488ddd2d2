import { stopPostgres } from "./postgres.ts";

// Mocha listens for unhandled rejections, so Node no longer ends the process for them, and lets them go. As errors
// they fail the test that runs.
process.on("unhandledRejection", (reason) => {
  throw reason;
});

/** Mocha calls it once, after the last test. */
export async function mochaGlobalTeardown(): Promise<void> {
  await stopPostgres();
}
