import type { Command } from "commander";
import { connect } from "../client/client.ts";
import type { ConnectOptions, SpoolClient } from "../client/client.ts";
import { openConnection } from "../client/transport/connection.ts";
import type { GrpcTransport } from "../client/transport/grpc-transport.ts";
import { exitOnBrokenPipe } from "./output/output.ts";
import { quote } from "./output/quote.ts";
import { reportError } from "./report-error.ts";
import { readSettings } from "./options/settings.ts";
import type { ClientSettings, GlobalFlags } from "./options/settings.ts";
import { UsageError } from "./options/usage-error.ts";

/** How long a call retries while the server is unreachable: long enough for a restart, short enough for a person. */
export const CALL_RETRY_MS = 3_000;

/** The client, output format and helpers that a command uses. */
export interface CommandContext {
  client: SpoolClient;
  /** With `--json`, standard output carries JSON and nothing else. */
  json: boolean;
  settings: ClientSettings;
  /** Builds a follow-up command for people to copy. Repeats `--address`, `--context` and `--namespace` of this one. */
  commandLine(...words: string[]): string;
}

/** What a command for operators uses. */
export interface AdminContext {
  transport: GrpcTransport;
  json: boolean;
}

/** Connects a client, runs a command that calls a server, and sets `process.exitCode` to the code that it returns. */
export async function runCommand(command: Command, run: (context: CommandContext) => Promise<number>): Promise<void> {
  await runConnected(command, connect, (client, context) => run({ client, ...context }));
}

/** The same for a command that calls AdminService. */
export async function runAdminCommand(
  command: Command,
  run: (context: AdminContext) => Promise<number>,
): Promise<void> {
  await runConnected(command, openConnection, (transport, { json }) => run({ transport, json }));
}

async function runConnected<Connection extends { close(): void }>(
  command: Command,
  open: (options: ConnectOptions) => Connection,
  run: (connection: Connection, context: Omit<CommandContext, "client">) => Promise<number>,
): Promise<void> {
  exitOnBrokenPipe();
  const flags = command.optsWithGlobals<GlobalFlags & { retry?: number }>();
  const json = flags.json ?? false;
  let address: string | undefined;
  try {
    const settings = readSettings(flags);
    address = settings.address;
    const suffix = (["address", "context", "namespace"] as const).flatMap((name) =>
      flags[name] === undefined ? [] : [`--${name}`, flags[name]],
    );
    const commandLine = (...words: string[]) => ["spool", ...words, ...suffix].map(quote).join(" ");
    const { token, namespace, tls } = settings;
    const options = { address: settings.address, token, namespace, tls, retryMs: flags.retry ?? CALL_RETRY_MS };
    const connection = withUsageErrors(() => open(options));
    try {
      process.exitCode = await run(connection, { json, settings, commandLine });
    } finally {
      connection.close();
    }
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
