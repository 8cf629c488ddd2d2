import type { Command } from "commander";
import { InvalidArgumentError } from "commander";
import { openConnection } from "../../client/transport/connection.ts";
import type { Check, CheckStatus } from "../../doctor/check.ts";
import type { DoctorReport } from "../../doctor/doctor.ts";
import { escapeText } from "../output/escape-text.ts";
import { EXIT } from "../exit-codes.ts";
import { parseDuration } from "../options/option-values.ts";
import { exitOnBrokenPipe, jsonText, writeOut } from "../output/output.ts";
import { colorizeStdout } from "../output/colorize.ts";
import type { Color, Colorize } from "../output/colorize.ts";
import { reportError } from "../report-error.ts";
import { addServiceOptions, serverFlags } from "../options/server-flags.ts";
import { withUsageErrors } from "../command-context.ts";
import { readSettings } from "../options/settings.ts";
import type { GlobalFlags } from "../options/settings.ts";

const TIMEOUT_MS_DEFAULT = 20_000;
const TIMEOUT_MS_MIN = 1_000;
const TIMEOUT_MS_MAX = 600_000;
/** How long a connection that an abandoned check left open may delay the exit. */
const EXIT_DELAY_MS_MAX = 500;

const STATUS_WIDTH = 8;
const NAME_WIDTH = 15;
const COLORS = { ok: "green", warn: "yellow", fail: "red", skipped: "dim" } as const satisfies Record<
  CheckStatus,
  Color
>;

export function addDoctor(program: Command): void {
  const command = program
    .command("doctor")
    .description("Check the health of a service, and print what to do about problems");
  addServiceOptions(command)
    .option("--timeout <duration>", "How long all checks may take, 1s to 10m (default: 20s)", parseTimeout)
    .action(async (_options: object, command: Command) => {
      exitOnBrokenPipe();
      const { json = false } = command.optsWithGlobals<GlobalFlags>();
      try {
        process.exitCode = await doctor(command, json);
      } catch (error) {
        process.exitCode = reportError(error, { json });
      }
      setTimeout(() => process.exit(), EXIT_DELAY_MS_MAX).unref();
    });
}

async function doctor(command: Command, json: boolean): Promise<number> {
  const { timeout = TIMEOUT_MS_DEFAULT, ...flags } = command.optsWithGlobals<GlobalFlags & { timeout?: number }>();
  // The checks are of the whole service, so the call has no namespace. `--namespace` is a setting of the server here.
  const { address, isAddressConfigured, token, tls } = readSettings(flags);
  const transport = withUsageErrors(() => openConnection({ address, token, tls }));
  try {
    const { runDoctor } = await import("../../doctor/doctor.ts");
    const { readConfiguration } = await import("../../server/config/configuration.ts");
    const endpoint = { address, isNamed: isAddressConfigured, transport };
    const report = await runDoctor({
      settings: readConfiguration({ flags: serverFlags(command) }),
      endpoint,
      timeoutMs: timeout,
    });
    await writeOut(json ? `${jsonText(reportJson(report))}\n` : reportText(report, colorizeStdout));
    return report.status === "fail" ? EXIT.failed : EXIT.succeeded;
  } finally {
    transport.close();
  }
}

function parseTimeout(value: string): number {
  const timeoutMs = parseDuration(value);
  if (timeoutMs >= TIMEOUT_MS_MIN && timeoutMs <= TIMEOUT_MS_MAX) return timeoutMs;
  throw new InvalidArgumentError("It must be from 1s to 10m.");
}

function reportJson({ status, checks, tookMs }: DoctorReport) {
  return { status, took_ms: tookMs, checks: checks.map((check) => ({ todo: null, section: null, ...check })) };
}

function reportText({ checks, checkedBy }: DoctorReport, colorize: Colorize): string {
  const by = checkedBy === null ? "" : `${colorize("dim", `checked by the server at ${escapeText(checkedBy)}`)}\n`;
  return `${by}${checks.map((check) => checkText(check, colorize)).join("")}\n${summary(checks)}\n`;
}

function checkText(check: Check, colorize: Colorize): string {
  const status = colorize(COLORS[check.status], check.status.padEnd(STATUS_WIDTH));
  const line = `${status} ${escapeText(check.name).padEnd(NAME_WIDTH)} ${escapeText(check.found)}\n`;
  if (check.status === "ok" || check.todo === null) return line;
  const where = check.section === null ? "" : ` (docs/operating.md: ${escapeText(check.section)})`;
  return `${line}${" ".repeat(STATUS_WIDTH + NAME_WIDTH + 2)}${escapeText(check.todo)}${colorize("dim", where)}\n`;
}

/** Returns the last line, which sums up the checks. */
function summary(checks: readonly Check[]): string {
  const named = (status: CheckStatus) =>
    checks.flatMap((check) => (check.status === status ? escapeText(check.name) : []));
  const [failed, warned, skipped] = [named("fail"), named("warn"), named("skipped")];
  const notChecked = skipped.length === 0 ? "" : `; not checked: ${skipped.join(", ")}`;
  const warnings = warned.length === 0 ? "" : `; warnings: ${warned.join(", ")}`;
  return failed.length > 0
    ? `unhealthy: ${failed.join(", ")}${warnings}${notChecked}`
    : `healthy${warnings}${notChecked}`;
}
