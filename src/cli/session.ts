import type { Command } from "commander";
import { connect } from "../client/client.ts";
import type { SpoolClient } from "../client/client.ts";
import { endOnBrokenPipe } from "./output/output.ts";
import { reportError } from "./report-error.ts";
import { readSettings } from "./options/settings.ts";
import type { GlobalFlags } from "./options/settings.ts";
import { UsageError } from "./options/usage-error.ts";

/** How long a call is tried at a server that cannot be reached: long enough for a restart, short enough to be told. */
const CALL_RETRY_MS = 3_000;

/** What a command works with. */
export interface Session {
  client: SpoolClient;
  /** Standard output is for programs: JSON and nothing else. */
  json: boolean;
  /** A command line that goes on from here, for people to copy: with this one's --address, if it has one. */
  commandLine(...words: string[]): string;
}

/** Runs a command that talks to a server, and sets the exit code that it returns. */
export async function withSession(command: Command, work: (session: Session) => Promise<number>): Promise<void> {
  endOnBrokenPipe();
  const flags = command.optsWithGlobals<GlobalFlags & { retry?: number }>();
  const json = flags.json ?? false;
  let address: string | undefined;
  try {
    const settings = readSettings(flags);
    address = settings.address;
    const suffix = flags.address === undefined ? [] : ["--address", flags.address];
    const commandLine = (...words: string[]) => ["spool", ...words, ...suffix].map(quote).join(" ");
    const { token } = settings;
    using client = checked(() => connect({ address: settings.address, token, retryMs: flags.retry ?? CALL_RETRY_MS }));
    process.exitCode = await work({ client, json, commandLine });
  } catch (error) {
    process.exitCode = reportError(error, { json, address });
  }
}

/** What opens a client says of its address or token is wrong with the command line. @throws UsageError */
export function checked<Opened>(open: () => Opened): Opened {
  try {
    return open();
  } catch (error) {
    if (error instanceof TypeError) throw new UsageError(error.message, { cause: error });
    throw error;
  }
}

/** A word as a shell takes it for itself. */
function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
