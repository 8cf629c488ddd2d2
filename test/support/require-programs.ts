import { spawnSync } from "node:child_process";

/** A program that has to be there, by a command that then ends with 0, and the package of Debian's that brings it. */
export interface NeededProgram {
  command: readonly [string, ...string[]];
  of: string;
}

/** Ends this process, and says which packages it lacks, where a program is not there. @param script as npm knows it */
export function requirePrograms(script: string, needs: readonly NeededProgram[]): void {
  const missing = needs.filter(({ command: [name, ...args] }) => spawnSync(name, args).status !== 0);
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map(({ of }) => of))];
  console.error(`npm run ${script} needs: apt-get install ${packages.join(" ")}`);
  process.exit(2);
}
