import { removeFolders } from "./installed.ts";
import { printReport } from "./report.ts";

/** Mocha calls it once, after the last test. */
export function mochaGlobalTeardown(): void {
  printReport();
  removeFolders();
}
