import { spawnSync } from "node:child_process";
import { styleText } from "node:util";

/** Runs commands by their names, one after the other, and stops at the first that fails. Sets the exit code. */
export function runSteps(steps: Readonly<Record<string, string>>, env: NodeJS.ProcessEnv = process.env): void {
  for (const [name, command] of Object.entries(steps)) {
    console.log(styleText("bold", `\n▸ ${name}`) + styleText("dim", `  ${command}`));
    const { status } = spawnSync(command, { shell: true, stdio: "inherit", env });
    if (status !== 0) {
      console.error(styleText("red", `✗ ${name}: failed`));
      process.exitCode = 1;
      return;
    }
  }
}
