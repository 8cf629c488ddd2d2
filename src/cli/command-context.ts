import type { Command } from "commander";
import { connect } from "../client/client.ts";
import type { SpoolClient } from "../client/client.ts";
import { exitOnBrokenPipe } from "./output/output.ts";
import { quote } from "./output/quote.ts";
import { reportError } from "./report-error.ts";
import { readSettings } from "./options/settings.ts";
import type { ClientSettings, GlobalFlags } from "./options/settings.ts";
import { UsageError } from "./options/usage-error.ts";

/** How long a call retries while the server is unreachable: long enough for a restart, short enough for a person. */
const CALL_RETRY_MS = 3_000;

/** The client, output format and helpers that a command uses. */
export interface CommandContext {
  client: SpoolClient;
  /** With `--json`, standard output carries JSON and nothing else. */
  json: boolean;
  settings: ClientSettings;
  /** Builds a follow-up command for people to copy. Repeats `--address` or `--context` of the current command line. */
  commandLine(...words: string[]): string;
}

/** Connects a client, runs a command that calls a server, and sets `process.exitCode` to the code that it returns. */
export async function runCommand(command: Command, run: (context: CommandContext) => Promise<number>): Promise<void> {
  exitOnBrokenPipe();
  const flags = command.optsWithGlobals<GlobalFlags & { retry?: number }>();
  const json = flags.json ?? false;
  let address: string | undefined;
  try {
    const settings = readSettings(flags);
    address = settings.address;
    const suffix = (["address", "context"] as const).flatMap((name) =>
      flags[name] === undefined ? [] : [`--${name}`, flags[name]],
    );
    const commandLine = (...words: string[]) => ["spool", ...words, ...suffix].map(quote).join(" ");
    const { token, tls } = settings;
    using client = withUsageErrors(() =>
      connect({ address: settings.address, token, tls, retryMs: flags.retry ?? CALL_RETRY_MS }),
    );
    process.exitCode = await run({ client, json, settings, commandLine });
  } catch (error) {
    process.exitCode = reportError(error, { json, address });
  }
}

/** Opens a client or connection. @throws UsageError instead of the TypeError for a malformed address or token */
export function withUsageErrors<Opened>(open: () => Opened): Opened {
  try {
    return open();
  } catch (error) {
    if (error instanceof TypeError) throw new UsageError(error.message, { cause: error });
    throw error;
  }
}
