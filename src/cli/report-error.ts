import { CommanderError } from "commander";
import { SpoolRpcError } from "../client/client.ts";
import { escapeText } from "./output/escape-text.ts";
import { EXIT } from "./exit-codes.ts";
import { jsonText, writeError } from "./output/output.ts";
import { UsageError } from "./options/usage-error.ts";

interface Report {
  message: string;
  /** What sort of error it is, in the words that programs look at. */
  kind?: string;
  exitCode: number;
  /** One line each: the fields or settings that are to blame. */
  problems?: readonly string[];
  /** What to do about it. */
  hint?: string | undefined;
  /** For programs, besides the message. */
  details?: Readonly<Record<string, unknown>>;
}

/**
 * Tells what went wrong on stderr, and what to do about it: lines for people, or one JSON object.
 *
 * @returns the exit code
 */
export function reportError(
  error: unknown,
  { json, address }: { json: boolean; address?: string | undefined },
): number {
  const report = describe(error, address ?? "its address");
  const { message, kind, problems = [], hint, details } = report;
  if (json) {
    writeError(`${jsonText({ error: { message, ...details, ...(hint !== undefined && { hint }) } })}\n`);
  } else {
    const head = kind === undefined ? message : `${message} (${kind})`;
    const lines = [`spool: ${escapeText(head)}`, ...problems.map((problem) => `  ${escapeText(problem)}`)];
    if (hint !== undefined) lines.push(`  ${escapeText(hint)}`);
    writeError(lines.map((line) => `${line}\n`).join(""));
  }
  return report.exitCode;
}

function describe(error: unknown, address: string): Report {
  if (error instanceof SpoolRpcError) return describeRpcError(error, address);
  if (error instanceof UsageError) {
    const { message, problems } = error;
    const details = { code: "USAGE", ...(problems.length > 0 && { problems }) };
    return { message, exitCode: EXIT.usage, problems, details };
  }
  if (error instanceof CommanderError) {
    // A suggestion, "(Did you mean list?)", is on a line of its own.
    const message = error.message.replace(/^error: /, "").replaceAll(/\s*\n\s*/g, " ");
    return { message, exitCode: EXIT.usage, hint: "spool --help, or spool COMMAND --help", details: { code: "USAGE" } };
  }
  if (isConfigurationError(error)) {
    const { problems } = error;
    return {
      message: "the configuration is wrong",
      exitCode: EXIT.usage,
      problems,
      details: { code: "USAGE", problems },
    };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { message, exitCode: EXIT.failed, details: { code: "FAILED" } };
}

function describeRpcError(error: SpoolRpcError, address: string): Report {
  const { code, reason, metadata, violations, retryAfterMs } = error;
  const fields = violations.map(({ field, description }) => (field === "" ? description : `${field}: ${description}`));
  return {
    message: error.message,
    kind: reason === undefined || reason === code ? code : `${code}, ${reason}`,
    exitCode: EXIT.failed,
    problems: fields.filter((field) => !error.message.includes(field)), // Most messages name the fields already.
    hint: hintOf(error, address),
    details: {
      code,
      ...(reason !== undefined && { reason }),
      metadata,
      violations,
      ...(retryAfterMs !== undefined && { retry_after_ms: retryAfterMs }),
    },
  };
}

/** What to do, where there is something to do. */
function hintOf({ code, reason, metadata, message }: SpoolRpcError, address: string): string | undefined {
  const isRefused = message.includes("ECONNREFUSED"); // What else may be wrong says so itself.
  const taskId = metadata["task_id"] ?? "ID";
  switch (reason) {
    case "TASK_NOT_FOUND":
      return "spool list shows the tasks that there are";
    case "TASK_NOT_TERMINAL":
      return `to wait for its end: spool result ${taskId} --wait`;
    case "REQUEST_ID_REUSED":
      return `what it started: spool get ${taskId}`;
    case "UNAUTHENTICATED":
      return metadata["token"] === "wrong"
        ? "put this server's token into SPOOL_TOKEN, in place of the one that is there or in --token"
        : "put the server's token into SPOOL_TOKEN";
    case "STORE_UNAVAILABLE":
    case "DRAINING":
    case "OVERLOADED":
      return "the server is there: try again in a moment";
    case undefined:
      break;
    default:
      return undefined;
  }
  if (code === "UNAVAILABLE" && isRefused) return `is \`spool serve\` running at ${address}?`;
  return code === "UNIMPLEMENTED" ? `is it Spool that answers at ${address}, and is it as new as this?` : undefined;
}

/** By its name: the server's code is not loaded for the commands that only talk to one. */
function isConfigurationError(error: unknown): error is Error & { problems: readonly string[] } {
  return error instanceof Error && error.name === "ConfigurationError" && "problems" in error;
}
