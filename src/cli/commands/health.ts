import { isIPv6 } from "node:net";
import type { Command } from "commander";
import { InvalidArgumentError } from "commander";
import { openConnection } from "../../client/transport/connection.ts";
import { withUsageErrors } from "../command-context.ts";
import { EXIT } from "../exit-codes.ts";
import { parseDuration } from "../options/option-values.ts";
import { readSettings } from "../options/settings.ts";
import type { GlobalFlags } from "../options/settings.ts";
import { escapeText } from "../output/escape-text.ts";
import { jsonText, writeOut } from "../output/output.ts";
import { reportError } from "../report-error.ts";

const TIMEOUT_MS_DEFAULT = 3_000;
const TIMEOUT_MS_MAX = 60_000;

export function addHealth(program: Command): void {
  program
    .command("health")
    .description("Check that a server accepts work: exit code 0 if so, else 1. For health checks of containers.")
    .option("--timeout <duration>", "How long the server may take to answer, 1ms to 60s (default: 3s)", parseTimeout)
    .addHelpText(
      "after",
      "\nWithout an address, the command checks the server that has the same settings on\nthis machine (SPOOL_HOST, SPOOL_PORT, SPOOL_TLS_CERT).",
    )
    .action(async (_options: object, command: Command) => {
      const { json = false } = command.optsWithGlobals<GlobalFlags>();
      try {
        process.exitCode = await health(command, json);
      } catch (error) {
        process.exitCode = reportError(error, { json });
      }
    });
}

async function health(command: Command, json: boolean): Promise<number> {
  const { timeout = TIMEOUT_MS_DEFAULT, ...flags } = command.optsWithGlobals<GlobalFlags & { timeout?: number }>();
  const { address, isAddressConfigured, token, namespace, tls } = readSettings(flags);
  const server = isAddressConfigured ? { address, token, namespace, tls } : await localServer(flags.config);
  const transport = withUsageErrors(() => openConnection(server));
  try {
    const { checkHealth } = await import("../../doctor/check-server.ts");
    const endpoint = { address: server.address, isNamed: isAddressConfigured, transport };
    const { status, found } = await checkHealth(endpoint, new AbortController().signal, timeout);
    const isReady = status === "ok";
    await writeOut(json ? `${jsonText({ ready: isReady, found })}\n` : `${escapeText(found)}\n`);
    return isReady ? EXIT.succeeded : EXIT.failed;
  } finally {
    transport.close();
  }
}

/** Returns the gRPC endpoint of a server on this machine that has the same configuration as this command. */
async function localServer(config?: string): Promise<{ address: string; isVerified: false }> {
  const { readConfiguration } = await import("../../server/config/configuration.ts");
  const { host, port, tlsCert } = readConfiguration({ flags: config === undefined ? {} : { config } });
  const reachable = { "0.0.0.0": "127.0.0.1", "::": "::1" }[host] ?? host;
  const scheme = tlsCert === null ? "" : "https://";
  // The certificate is for the server's public name, and health is no secret.
  return { address: `${scheme}${isIPv6(reachable) ? `[${reachable}]` : reachable}:${port}`, isVerified: false };
}

function parseTimeout(value: string): number {
  const timeoutMs = parseDuration(value);
  if (timeoutMs >= 1 && timeoutMs <= TIMEOUT_MS_MAX) return timeoutMs;
  throw new InvalidArgumentError("It must be from 1ms to 60s.");
}
