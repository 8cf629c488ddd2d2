import { spawnSync } from "node:child_process";
import { delimiter, join } from "node:path";

/** Debian's, with its python3-grpcio: as in examples/worker-python. */
export const PYTHON = "/usr/bin/python3";

const ROOT = join(import.meta.dirname, "..", "..", "..");
const EXAMPLE = join("examples", "worker-python");

/**
 * Generates what Python needs to speak with a server, as the example's README.md says, but into a folder.
 *
 * @returns where Python is to look for the example's modules and these
 * @throws Error that says what is missing
 */
export function generatePythonStubs(folder: string): string {
  const args = ["generate", "--template", join(EXAMPLE, "buf.gen.yaml"), "--output", folder];
  const { status, stderr } = spawnSync("buf", args, { cwd: ROOT, encoding: "utf8" });
  if (status !== 0) throw new Error(`buf generate ended with ${status}: ${stderr}`);
  return [join(folder, EXAMPLE), join(ROOT, EXAMPLE)].join(delimiter);
}
