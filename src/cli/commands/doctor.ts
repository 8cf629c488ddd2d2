import type { Command } from "commander";
import { InvalidArgumentError } from "commander";
import { openConnection } from "../../client/transport/connection.ts";
import type { Check, CheckStatus } from "../../doctor/check.ts";
import type { DoctorReport } from "../../doctor/doctor.ts";
import { escapeText } from "../output/escape-text.ts";
import { EXIT } from "../exit-codes.ts";
import { parseDuration } from "../options/option-values.ts";
import { endOnBrokenPipe, jsonText, writeOut } from "../output/output.ts";
import { paintStdout } from "../output/color.ts";
import type { Colour, Paint } from "../output/color.ts";
import { reportError } from "../report-error.ts";
import { addServiceOptions, serverFlags } from "../options/server-flags.ts";
import { checked } from "../session.ts";
import { readSettings } from "../options/settings.ts";
import type { GlobalFlags } from "../options/settings.ts";

const TIMEOUT_MS_DEFAULT = 20_000;
const TIMEOUT_MS_MIN = 1_000;
const TIMEOUT_MS_MAX = 600_000;
/** What a look that was given up has left open may not keep the command from its end for longer. */
const LEFT_OPEN_MS = 500;

const STATUS_WIDTH = 8;
const NAME_WIDTH = 15;
const COLOURS = { ok: "green", warn: "yellow", fail: "red", skipped: "dim" } as const satisfies Record<
  CheckStatus,
  Colour
>;

export function addDoctor(program: Command): void {
  const command = program
    .command("doctor")
    .description("tell whether a service is well, and what to do where it is not");
  addServiceOptions(command)
    .option("--timeout <duration>", "how long all checks may take, 1s to 10m (default: 20s)", parseTimeout)
    .action(async (_options: object, command: Command) => {
      endOnBrokenPipe();
      const { json = false } = command.optsWithGlobals<GlobalFlags>();
      try {
        process.exitCode = await doctor(command, json);
      } catch (error) {
        process.exitCode = reportError(error, { json });
      }
      setTimeout(() => process.exit(), LEFT_OPEN_MS).unref();
    });
}

async function doctor(command: Command, json: boolean): Promise<number> {
  const { timeout = TIMEOUT_MS_DEFAULT, ...flags } = command.optsWithGlobals<GlobalFlags & { timeout?: number }>();
  const { address, isAddressNamed, token } = readSettings(flags);
  const transport = checked(() => openConnection({ address, token }));
  try {
    const { examine } = await import("../../doctor/doctor.ts");
    const { readConfiguration } = await import("../../server/config/configuration.ts");
    const door = { address, isNamed: isAddressNamed, transport };
    const report = await examine({
      settings: readConfiguration({ flags: serverFlags(command) }),
      door,
      timeoutMs: timeout,
    });
    await writeOut(json ? `${jsonText(reportJson(report))}\n` : reportText(report, paintStdout));
    return report.status === "fail" ? EXIT.failed : EXIT.succeeded;
  } finally {
    transport.close();
  }
}

function parseTimeout(value: string): number {
  const timeoutMs = parseDuration(value);
  if (timeoutMs >= TIMEOUT_MS_MIN && timeoutMs <= TIMEOUT_MS_MAX) return timeoutMs;
  throw new InvalidArgumentError("It must be 1s to 10m.");
}

function reportJson({ status, checks, tookMs }: DoctorReport) {
  return { status, took_ms: tookMs, checks: checks.map((check) => ({ todo: null, section: null, ...check })) };
}

function reportText({ checks, checkedBy }: DoctorReport, paint: Paint): string {
  const by = checkedBy === null ? "" : `${paint("dim", `checked by the server at ${escapeText(checkedBy)}`)}\n`;
  return `${by}${checks.map((check) => checkText(check, paint)).join("")}\n${verdict(checks)}\n`;
}

function checkText(check: Check, paint: Paint): string {
  const status = paint(COLOURS[check.status], check.status.padEnd(STATUS_WIDTH));
  const line = `${status} ${escapeText(check.name).padEnd(NAME_WIDTH)} ${escapeText(check.found)}\n`;
  if (check.status === "ok" || check.todo === null) return line;
  const where = check.section === null ? "" : ` (docs/operating.md: ${escapeText(check.section)})`;
  return `${line}${" ".repeat(STATUS_WIDTH + NAME_WIDTH + 2)}${escapeText(check.todo)}${paint("dim", where)}\n`;
}

/** The last line: what it all comes to. */
function verdict(checks: readonly Check[]): string {
  const named = (status: CheckStatus) =>
    checks.flatMap((check) => (check.status === status ? escapeText(check.name) : []));
  const [failed, warned, skipped] = [named("fail"), named("warn"), named("skipped")];
  const looked = skipped.length === 0 ? "" : `; not looked at: ${skipped.join(", ")}`;
  const warnings = warned.length === 0 ? "" : `; to be seen to: ${warned.join(", ")}`;
  return failed.length > 0 ? `not well: ${failed.join(", ")}${warnings}${looked}` : `well${warnings}${looked}`;
}
