import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { runQuietly } from "./run-command.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const PACKAGE = join(ROOT, "clients", "python");
/** What else is written in Python on the package. */
const USERS = [
  "clients/python/tests",
  "examples/worker-python/worker.py",
  "examples/worker-python/caller.py",
  "test/clients/followers.py",
  "test/fault/support/python_steps.py",
];

/**
 * Builds the sdist, the wheel from the sdist, and installs the wheel into a fresh virtual environment. Its dependencies
 * are those of the system: nothing is downloaded.
 *
 * @returns the Python of the environment
 */
export async function installPythonPackage(folder: string, systemPython: string): Promise<string> {
  const dist = join(folder, "dist");
  const environment = join(folder, "venv");
  const python = join(environment, "bin", "python");
  const build = ["-m", "build", "--no-isolation", "--skip-dependency-check", "--outdir", dist, PACKAGE];
  const create = ["-m", "venv", "--system-site-packages", "--without-pip", environment];
  await Promise.all([runQuietly(systemPython, build), runQuietly(systemPython, create)]);
  const wheels = globSync("*.whl", { cwd: dist });
  assert.equal(wheels.length, 1);
  await runQuietly(python, ["-m", "pip", "install", "--no-index", join(dist, wheels[0]!)]);
  console.log(`python package: built ${wheels[0]} from the sdist, and installed it`);
  const license = (path: string) => readFileSync(join(path, "LICENSE"), "utf8");
  assert.equal(license(PACKAGE), license(ROOT), "clients/python/LICENSE is not the license of the project");
  return python;
}

/** Checks the types of the package, and those of its users against the installed package. */
export async function checkPythonTypes(folder: string, python: string): Promise<void> {
  const options = ["--config-file", join(PACKAGE, "pyproject.toml"), "--cache-dir", join(folder, "mypy")];
  await runQuietly("mypy", [...options, join(PACKAGE, "src")]);
  const users = USERS.map((path) => join(ROOT, path));
  await runQuietly("mypy", [...options, "--python-executable", python, ...users]);
  console.log("python package: mypy --strict finds nothing");
}

/** Runs the tests of the package against the servers of the environment. */
export async function testPythonPackage(python: string, environment: Record<string, string>): Promise<void> {
  const args = ["-m", "unittest", "discover", "--buffer", "--start-directory", join(PACKAGE, "tests")];
  await runQuietly(python, args, environment);
  console.log("python package: its tests pass");
}
