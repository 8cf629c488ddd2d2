import { Argument } from "commander";
import type { Command } from "commander";
import { EXIT } from "../exit-codes.ts";
import { exitOnBrokenPipe, writeOut } from "../output/output.ts";
import type { GlobalFlags } from "../options/settings.ts";
import { reportError } from "../report-error.ts";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

const INSTALLATION = `
Write the script to a file that the shell loads:
  spool completion bash > ~/.local/share/bash-completion/completions/spool
  spool completion zsh > "\${fpath[1]}/_spool"
  spool completion fish > ~/.config/fish/completions/spool.fish

Or load it in the current shell:
  source <(spool completion bash)
  source <(spool completion zsh)
  spool completion fish | source`;

export function addCompletion(program: Command): void {
  program
    .command("completion")
    .description("Print the script that completes commands in a shell")
    .addArgument(new Argument("<shell>", "Shell").choices(SHELLS))
    .addHelpText("after", INSTALLATION)
    .action(async (shell: Shell, _options: object, command: Command) => {
      exitOnBrokenPipe();
      try {
        const { completionScript } = await import("../completion/completion-script.ts");
        await writeOut(completionScript(shell, program));
        process.exitCode = EXIT.succeeded;
      } catch (error) {
        process.exitCode = reportError(error, command.optsWithGlobals<{ json: boolean } & GlobalFlags>());
      }
    });
}
