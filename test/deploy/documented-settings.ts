import { readFileSync } from "node:fs";
import { join } from "node:path";

const OPERATING = join(import.meta.dirname, "../../docs/operating.md");

/** Returns the variables in the first column of the table of settings, and SPOOL_CONFIG, which names a file of them. */
export function documentedSettings(): ReadonlySet<string> {
  const [, section = ""] = readFileSync(OPERATING, "utf8").split("\n## Settings\n");
  const rows = section.split("\n## ")[0]!.matchAll(/^\| (`SPOOL_[^|]+)\|/gm);
  const names = [...rows].flatMap(([, cell]) => [...cell!.matchAll(/`(\w+)`/g)].map(([, name]) => name!));
  if (names.length < 10) throw new Error("docs/operating.md has no table of settings any more");
  return new Set([...names, "SPOOL_CONFIG"]);
}

/**
 * Returns how long a server may take to stop, in ms: the sum that docs/operating.md gives ("Stop"), with telemetry.
 *
 * @param drainMs by default, as the server's own default
 */
export function stopMs(configuration: { drainMs: number; cancelGraceMs: number }): number {
  return configuration.drainMs + configuration.cancelGraceMs + 5_000 + 2_000;
}
