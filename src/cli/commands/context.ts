import type { Command } from "commander";
import { EXIT } from "../exit-codes.ts";
import type { AddOptions } from "../contexts/add-context.ts";
import { exitOnBrokenPipe } from "../output/output.ts";
import type { GlobalFlags } from "../options/settings.ts";
import { reportError } from "../report-error.ts";

export function addContext(program: Command): void {
  const context = program
    .command("context")
    .description("Name servers, and choose the one that commands use")
    .helpCommand(false);
  context
    .command("add")
    .description("Add a context: a name for the server at --address")
    .argument("<name>", "1 to 63 of [A-Za-z0-9._-], which begin with a letter or digit")
    .option("--http-address <url>", "URL of the HTTP endpoint, for spool open (default: the host, port 8080)")
    .option("--token-file <file>", "File that holds the bearer token. Each command reads the file again.")
    .option("--token-stdin", "Store the bearer token that standard input holds")
    .option("--tls-ca <file>", "PEM file of the authorities to trust (default: those of the machine)")
    .option("--tls-cert <file>", "PEM file of the certificate with which commands authenticate")
    .option("--tls-key <file>", "PEM file with the key of the certificate")
    .option("--use", "Make the context the current one")
    .option("--replace", "Replace a context of the same name")
    .action((name: string, options: AddOptions, command: Command) =>
      run(command, async (flags) => (await import("../contexts/add-context.ts")).addContext(name, options, flags)),
    );
  context
    .command("list")
    .description("List the contexts. * marks the one that commands use.")
    .action((_options: object, command: Command) =>
      run(command, async (flags) => (await import("../contexts/show-contexts.ts")).listContexts(flags)),
    );
  context
    .command("use")
    .description("Make a context the current one, which commands use by default")
    .argument("[context]", "Name of the context")
    .option("--none", "Have no current context: commands use the default address")
    .action((name: string | undefined, { none }: { none?: true }, command: Command) =>
      run(command, async (flags) =>
        (await import("../contexts/change-contexts.ts")).useContext(name, { isNone: none ?? false, ...flags }),
      ),
    );
  context
    .command("show")
    .description("Print a context without its token")
    .argument("[context]", "Name of the context (default: the one that commands use)")
    .action((name: string | undefined, _options: object, command: Command) =>
      run(command, async (flags) => (await import("../contexts/show-contexts.ts")).showContext(name, flags)),
    );
  context
    .command("remove")
    .description("Remove a context")
    .argument("<context>", "Name of the context")
    .action((name: string, _options: object, command: Command) =>
      run(command, async (flags) => (await import("../contexts/change-contexts.ts")).removeContext(name, flags)),
    );
}

/** Runs a command that reads or writes the user's contexts, and sets `process.exitCode`. */
async function run(command: Command, action: (flags: GlobalFlags) => Promise<void>): Promise<void> {
  exitOnBrokenPipe();
  const flags = command.optsWithGlobals<GlobalFlags>();
  try {
    await action(flags);
    process.exitCode = EXIT.succeeded;
  } catch (error) {
    process.exitCode = reportError(error, { json: flags.json ?? false });
  }
}
