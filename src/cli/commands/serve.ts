import type { Command } from "commander";
import { ADDRESS_DEFAULT } from "../../client/transport/address.ts";
import { EXIT } from "../exit-codes.ts";
import { collect } from "../options/option-values.ts";
import { jsonText, writeOut } from "../output/output.ts";
import { reportError } from "../report-error.ts";
import { addServerOptions, serverFlags } from "../options/server-flags.ts";
import type { LastWords } from "../../server/log/fatal-errors.ts";
import type { GlobalFlags } from "../options/settings.ts";

const SIGNALS = { SIGINT: EXIT.cancelled, SIGTERM: EXIT.terminated } as const;

export function addServe(program: Command): void {
  const command = program.command("serve").description("Run a server");
  addServerOptions(command)
    .option(
      "--kinds <file>",
      "Module that exports kinds made with defineKind or defineKinds. Can be repeated.",
      collect,
    )
    .action(async ({ kinds = [] }: { kinds?: string[] }, command: Command) => {
      const { json = false } = command.optsWithGlobals<GlobalFlags>();
      // The server keeps running when the reader of its first lines closes the pipe.
      process.stdout.on("error", () => {});
      try {
        await serveUntilStopped(command, { json, kindFiles: kinds });
      } catch (error) {
        process.exitCode = reportError(error, { json });
      }
      // A failed start can leave handles open, and an export to an unresponsive collector can be pending.
      process.exit();
    });
}

/**
 * Serves until a signal. The first signal stops the server gracefully, even during the start; a second one exits at
 * once.
 */
async function serveUntilStopped(
  command: Command,
  { json, kindFiles }: { json: boolean; kindFiles: string[] },
): Promise<void> {
  const stopping = Promise.withResolvers<void>();
  let signals = 0;
  for (const [signal, exitCode] of Object.entries(SIGNALS)) {
    process.on(signal, () => {
      if (++signals > 1) process.exit(exitCode);
      stopping.resolve();
    });
  }
  // Registered before the log exists: without a handler SIGUSR2 ends the process.
  let toggleLevel = () => {};
  process.on("SIGUSR2", () => toggleLevel());
  const flags = serverFlags(command);
  const { serve } = await import("../../server/serve.ts");
  const { changeLogLevel, toggledLevel } = await import("../../server/log/log-level.ts");
  const { endOnFatalErrors } = await import("../../server/log/fatal-errors.ts");
  let lastWords: LastWords | undefined;
  const server = await serve({
    flags,
    kindFiles,
    onEngine: (words) => (lastWords = words),
    onLog: (log, configured) => {
      toggleLevel = () => changeLogLevel(log, toggledLevel(log.level, configured), { by: "SIGUSR2" });
      endOnFatalErrors({ log, exitCode: EXIT.failed, lastWords: () => lastWords });
    },
  });
  await writeOut(
    json ? `${jsonText({ address: server.address, doors: server.endpoints })}\n` : startupText(server, flags),
  );
  await Promise.race([stopping.promise.then(() => server.stop()), server.stopped]);
}

/** Returns the listeners and example commands for people. */
function startupText({ address, endpoints }: { address: string; endpoints: readonly string[] }, flags: object): string {
  const host = address.replace(/^(?<scheme>https:\/\/)?(0\.0\.0\.0|\[::\]):/, "$<scheme>127.0.0.1:");
  const isTls = host.startsWith("https://");
  const start = ["npx spool start echo --wait", ...(host === ADDRESS_DEFAULT ? [] : ["--address", host])].join(" ");
  const hasToken = "token" in flags || Boolean(process.env["SPOOL_TOKEN"]);
  const token = hasToken ? ` -H "authorization: Bearer $SPOOL_TOKEN"` : "";
  const curl = `npx buf curl ${isTls ? "" : "--http2-prior-knowledge "}--protocol grpc${token} -d '{"start": {"kind": "echo"}}' \\
      ${isTls ? host : `http://${host}`}/spool.v1.TaskService/RunTask`;
  return `${endpoints.map((endpoint) => `${endpoint}\n`).join("")}\nTry it:\n  ${start}\n  ${curl}\n\nPress Ctrl-C to stop.\n`;
}
