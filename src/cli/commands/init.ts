import type { Command } from "commander";
import { EXIT } from "../exit-codes.ts";
import { exitOnBrokenPipe } from "../output/output.ts";
import type { GlobalFlags } from "../options/settings.ts";
import { reportError } from "../report-error.ts";

export function addInit(program: Command): void {
  program
    .command("init")
    .description("Make a project with a kind, a worker, a caller and a test. It overwrites no file.")
    .argument("[folder]", "Folder of the project, which may exist (default: .)")
    .action(async (folder: string | undefined, _options: object, command: Command) => {
      exitOnBrokenPipe();
      const { json = false } = command.optsWithGlobals<GlobalFlags>();
      try {
        const { initProject } = await import("../init/init-project.ts");
        await initProject(folder ?? ".", { json });
        process.exitCode = EXIT.succeeded;
      } catch (error) {
        process.exitCode = reportError(error, { json });
      }
    });
}
