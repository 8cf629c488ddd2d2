import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { eventually } from "../../support/eventually.ts";

const GUARD = join(import.meta.dirname, "guard.ts");
/** A new process takes long on a busy machine. */
const TEST_MS_MAX = 60_000;
const CLEANED_MS_MAX = 30_000;
/** Stops a process of its own, notes it, prints its pid, and waits to be killed. */
const HARNESS = `
  import { spawn } from "node:child_process";
  const { Guard } = await import(process.argv[1]);
  const guard = new Guard(process.argv[2]);
  const { pid } = spawn("sleep", ["600"]);
  guard.stopped(pid);
  process.kill(pid, "SIGSTOP");
  console.log(pid);
  setInterval(() => {}, 1_000);`;

describe("the guard of a chaos run", () => {
  it("ends stopped processes and removes the folder after its process was killed", async function () {
    this.timeout(TEST_MS_MAX);
    const folder = mkdtempSync(join(tmpdir(), "spool-guard-"));
    const args = ["--input-type=module", "-e", HARNESS, GUARD, folder];
    const harness = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    const [line] = (await once(createInterface({ input: harness.stdout }), "line")) as [string];
    harness.kill("SIGKILL");
    await eventually(
      () => {
        assert.equal(existsSync(folder), false);
        assert.throws(() => process.kill(Number(line), 0), { code: "ESRCH" });
      },
      { timeoutMs: CLEANED_MS_MAX },
    );
  });
});
