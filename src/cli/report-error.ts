import { CommanderError } from "commander";
import { SpoolRpcError } from "../client/client.ts";
import { escapeText } from "./output/escape-text.ts";
import { EXIT } from "./exit-codes.ts";
import { jsonText, writeError } from "./output/output.ts";
import { UsageError } from "./options/usage-error.ts";

interface Report {
  message: string;
  /** The status code and reason, appended to the message in parentheses. */
  codes?: string;
  exitCode: number;
  /** The invalid fields or settings, one line each. */
  problems?: readonly string[];
  /** What the caller can do. */
  hint?: string | undefined;
  /** Further fields of the JSON object. */
  details?: Readonly<Record<string, unknown>>;
}

/**
 * Writes an error and what to do about it to stderr: as lines, or with `json` as one JSON object.
 *
 * @returns the exit code
 */
export function reportError(
  error: unknown,
  { json, address }: { json: boolean; address?: string | undefined },
): number {
  const report = describeError(error, address ?? "the server address");
  const { message, codes, problems = [], hint, details } = report;
  if (json) {
    writeError(`${jsonText({ error: { message, ...details, ...(hint !== undefined && { hint }) } })}\n`);
  } else {
    const head = codes === undefined ? message : `${message} (${codes})`;
    const lines = [`spool: ${escapeText(head)}`, ...problems.map((problem) => `  ${escapeText(problem)}`)];
    if (hint !== undefined) lines.push(`  ${escapeText(hint)}`);
    writeError(lines.map((line) => `${line}\n`).join(""));
  }
  return report.exitCode;
}

function describeError(error: unknown, address: string): Report {
  if (error instanceof SpoolRpcError) return describeRpcError(error, address);
  if (error instanceof UsageError) {
    const { message, problems } = error;
    const details = { code: "USAGE", ...(problems.length > 0 && { problems }) };
    return { message, exitCode: EXIT.usage, problems, details };
  }
  if (error instanceof CommanderError) {
    // Commander puts its suggestion, "(Did you mean list?)", on a separate line.
    const message = error.message.replace(/^error: /, "").replaceAll(/\s*\n\s*/g, " ");
    return {
      message,
      exitCode: EXIT.usage,
      hint: "run spool --help or spool COMMAND --help",
      details: { code: "USAGE" },
    };
  }
  if (isConfigurationError(error)) {
    const { problems } = error;
    return {
      message: "invalid configuration",
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
    codes: reason === undefined || reason === code ? code : `${code}, ${reason}`,
    exitCode: EXIT.failed,
    problems: fields.filter((field) => !error.message.includes(field)), // Most messages already name the fields.
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

/** What the caller can do about a credential that the server knows, or that it should know. */
const CREDENTIAL_HINTS: Readonly<Record<string, string>> = {
  wrong: "replace the value of SPOOL_TOKEN or --token by this server's token",
  expired: "use a new token: spool token create makes one",
  revoked: "use a new token: spool token create makes one",
};

/** Returns what the caller can do about the error, if anything. */
function hintOf({ code, reason, metadata, message }: SpoolRpcError, address: string): string | undefined {
  const isRefused = message.includes("ECONNREFUSED"); // The messages of other connection errors say what to do.
  const taskId = metadata["task_id"] ?? "ID";
  switch (reason) {
    case "TASK_NOT_FOUND":
    case "TASK_EXPIRED":
      return "to list tasks: spool list";
    case "TOKEN_NOT_FOUND":
      return "to list tokens: spool token list";
    case "TASK_NOT_TERMINAL":
      return `to wait for the end of the task: spool result ${taskId} --wait`;
    case "REQUEST_ID_REUSED":
      return `to see the task that this request id started: spool get ${taskId}`;
    case "UNAUTHENTICATED":
      return CREDENTIAL_HINTS[metadata["token"] ?? ""] ?? "set SPOOL_TOKEN to the server's token";
    case "STORE_UNAVAILABLE":
    case "DRAINING":
    case "OVERLOADED":
      return "the server is running but cannot take the call now: try again later";
    case undefined:
      break;
    default:
      return undefined;
  }
  if (code === "UNAVAILABLE" && isRefused) return `is \`spool serve\` running at ${address}?`;
  return code === "UNIMPLEMENTED"
    ? `check that ${address} is a Spool server and at least as new as this command`
    : undefined;
}

/** Compares the name, not the class: commands that only call a server do not load the server's code. */
function isConfigurationError(error: unknown): error is Error & { problems: readonly string[] } {
  return error instanceof Error && error.name === "ConfigurationError" && "problems" in error;
}
